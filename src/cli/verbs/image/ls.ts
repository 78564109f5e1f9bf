// sloop images
import { filterFlag, readFilters } from "../../filters.ts"
import { imageTree, type TreeImage } from "../../format/image-tree.ts"
import { printList, type Row, templateFlag } from "../../format/list.ts"
import { ago, goTime, humanSize, shortId } from "../../format/units.ts"
import type { Context, Verb } from "../../verb.ts"

/** An image as the API lists it. */
export interface ListedImage {
  Id: string
  RepoTags: string[] | null
  RepoDigests: string[] | null
  Created: number
  Size: number
  SharedSize: number
  Containers: number
}

/** One row per tag (and per digest when asked); an image without either is <none>. */
export function imageRows(image: ListedImage, noTrunc: boolean, digests: boolean): Row[] {
  const split = (text: string, at: string) =>
    [text.slice(0, text.lastIndexOf(at)), text.slice(text.lastIndexOf(at) + 1)] as const
  const tags = (image.RepoTags ?? []).filter((tag) => tag !== "<none>:<none>")
  const byRepository = new Map((image.RepoDigests ?? []).map((digest) => split(digest, "@")))
  const names =
    tags.length > 0
      ? tags.map((tag) => split(tag, ":"))
      : [...byRepository.keys(), ...(byRepository.size > 0 ? [] : ["<none>"])].map(
          (name) => [name, "<none>"] as const,
        )
  return names.map(([Repository, Tag]) => ({
    ID: noTrunc ? image.Id : shortId(image.Id),
    Repository,
    Tag,
    Digest: (digests ? byRepository.get(Repository) : undefined) ?? "<none>",
    CreatedSince: ago(image.Created),
    CreatedAt: goTime(image.Created),
    Size: humanSize(image.Size, 3),
    VirtualSize: humanSize(image.Size),
    SharedSize: image.SharedSize < 0 ? "N/A" : humanSize(image.SharedSize),
    UniqueSize: image.SharedSize < 0 ? "N/A" : humanSize(image.Size - image.SharedSize),
    Containers: image.Containers < 0 ? "N/A" : String(image.Containers),
  }))
}

export const imageHeadings = {
  ID: "IMAGE ID",
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  VirtualSize: "SIZE",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
  Containers: "CONTAINERS",
}

const withLayers = async (context: Context, image: ListedImage): Promise<TreeImage> => {
  const { RootFS } = await context.client.json<{ RootFS: { Layers?: string[] } }>(
    "GET",
    `/images/${image.Id}/json`,
  )
  const names = (image.RepoTags ?? []).filter((tag) => tag !== "<none>:<none>")
  return { id: image.Id, names, layers: RootFS.Layers ?? [], size: image.Size }
}

export const verb: Verb = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  summary: "List images",
  flags: [
    { name: "all", short: "a", kind: "bool", summary: "Show all images (default hides intermediate images)" },
    { name: "digests", kind: "bool", summary: "Show digests" },
    filterFlag(),
    templateFlag,
    { name: "no-trunc", kind: "bool", summary: "Don't truncate output" },
    { name: "quiet", short: "q", kind: "bool", summary: "Only show image IDs" },
    { name: "tree", kind: "bool", summary: "Show which images stand on the layers of others" },
  ],
  interspersed: true,
  least: 0,
  most: 1,
  async run(context, parsed) {
    const [name] = parsed.arguments
    const filters = readFilters([...parsed.list("filter"), ...(name ? [`reference=${name}`] : [])])
    const found = await context.client.json<ListedImage[]>("GET", "/images/json", {
      query: { all: parsed.bool("all"), filters, digests: parsed.bool("digests") },
    })
    if (parsed.bool("tree")) {
      for (const line of imageTree(await Promise.all(found.map((image) => withLayers(context, image)))))
        context.print(line)
      return 0
    }
    const digests = parsed.bool("digests") || /\.Digest\b/.test(parsed.string("format") ?? "")
    const columns = [
      "Repository",
      "Tag",
      ...(parsed.bool("digests") ? ["Digest"] : []),
      "ID",
      "CreatedSince",
      "Size",
    ]
    const all = found.flatMap((image) => imageRows(image, parsed.bool("no-trunc"), digests))
    printList(context, { columns, headings: imageHeadings, quiet: "ID" }, all, {
      whole: parsed.bool("no-trunc"),
      format: parsed.string("format"),
      quiet: parsed.bool("quiet"),
    })
    return 0
  },
}
