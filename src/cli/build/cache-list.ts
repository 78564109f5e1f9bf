// The build cache as lists show it.
import type { BuildCacheView } from "../../wire/wire.ts"
import type { Listing, Row } from "../format/list.ts"
import { ago, humanSize } from "../format/units.ts"

const since = (text: string | null): string => (text === null ? "" : ago(Date.parse(text) / 1000))

/** The columns of `system df -v`. */
export const cacheListing: Listing = {
  columns: ["ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"],
  headings: {
    ID: "CACHE ID",
    CacheType: "CACHE TYPE",
    Size: "SIZE",
    CreatedSince: "CREATED",
    LastUsedSince: "LAST USED",
    UsageCount: "USAGE",
    Shared: "SHARED",
    Description: "DESCRIPTION",
    InUse: "IN USE",
    Parents: "PARENTS",
  },
  quiet: "ID",
}

export const cacheRow = (view: BuildCacheView, whole: boolean): Row => ({
  ID: whole ? view.ID : view.ID.replace(/^sha256:/, "").slice(0, 12),
  CacheType: view.Type,
  Size: humanSize(view.Size, 3),
  CreatedSince: since(view.CreatedAt),
  LastUsedSince: since(view.LastUsedAt),
  UsageCount: String(view.UsageCount),
  Shared: String(view.Shared),
  InUse: String(view.InUse),
  Description: view.Description,
  Parents: (view.Parents ?? []).join(", "),
})
