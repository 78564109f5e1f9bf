// GET /containers/{id}/stats: one reading, and the one before it.

export interface CpuStatsView {
  cpu_usage: {
    total_usage: number
    percpu_usage?: number[]
    usage_in_kernelmode: number
    usage_in_usermode: number
  }
  system_cpu_usage?: number
  online_cpus?: number
  throttling_data: { periods: number; throttled_periods: number; throttled_time: number }
}

export interface BlkioEntryView {
  major: number
  minor: number
  op: string
  value: number
}

export interface StatsView {
  name: string
  id: string
  read: string
  preread: string
  pids_stats: { current?: number; limit?: number }
  blkio_stats: {
    io_service_bytes_recursive: BlkioEntryView[] | null
    io_serviced_recursive: BlkioEntryView[] | null
    io_queue_recursive: null
    io_service_time_recursive: null
    io_wait_time_recursive: null
    io_merged_recursive: null
    io_time_recursive: null
    sectors_recursive: null
  }
  num_procs: number
  storage_stats: Record<string, never>
  cpu_stats: CpuStatsView
  precpu_stats: CpuStatsView
  memory_stats: {
    usage?: number
    max_usage?: number
    stats?: Record<string, number>
    failcnt?: number
    limit?: number
  }
  networks?: Record<
    string,
    {
      rx_bytes: number
      rx_packets: number
      rx_errors: number
      rx_dropped: number
      tx_bytes: number
      tx_packets: number
      tx_errors: number
      tx_dropped: number
    }
  >
}
