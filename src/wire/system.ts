// What clients read about the engine itself, its volumes, networks and events.

export interface VersionView {
  Platform: { Name: string }
  Components: { Name: string; Version: string; Details?: Record<string, string> }[]
  Version: string
  ApiVersion: string
  MinAPIVersion: string
  GitCommit: string
  GoVersion: string
  Os: string
  Arch: string
  KernelVersion: string
  Experimental?: boolean
  BuildTime: string
}

export interface VolumeView {
  CreatedAt: string
  Driver: string
  Labels: Record<string, string> | null
  Mountpoint: string
  Name: string
  Options: Record<string, string> | null
  Scope: string
  UsageData?: { RefCount: number; Size: number }
}

export interface NetworkView {
  Name: string
  Id: string
  Created: string
  Scope: string
  Driver: string
  EnableIPv4: boolean
  EnableIPv6: boolean
  IPAM: {
    Driver: string
    Options: Record<string, string> | null
    Config:
      | {
          Subnet?: string
          IPRange?: string
          Gateway?: string
          AuxiliaryAddresses?: Record<string, string>
        }[]
      | null
  }
  Internal: boolean
  Attachable: boolean
  Ingress: boolean
  ConfigFrom: { Network: string }
  ConfigOnly: boolean
  /** Of a container that runs, by its id. */
  Containers: Record<
    string,
    { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string; IPv6Address: string }
  >
  Options: Record<string, string>
  Labels: Record<string, string>
}

/** A line of GET /events. `timeNano` is beyond 2^53: it is written and read as text. */
export interface EventView {
  status?: string
  id?: string
  from?: string
  Type: string
  Action: string
  Actor: { ID: string; Attributes: Record<string, string> }
  scope: string
  time: number
}
