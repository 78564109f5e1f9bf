// load: an archive of images becomes images. All of it is verified and unpacked before the first name is written.
import { withBallast } from "../../base/ballast.ts"
import { crashPoint } from "../../base/crash-point.ts"
import { failure } from "../../base/errors.ts"
import { familiarReference } from "../../oci/reference.ts"
import type { Catalog, NewImage } from "../catalog.ts"
import type { ImageProgress } from "../images.ts"
import type { Garbage } from "../keeping/garbage.ts"
import { type Foundation, prepareImage } from "../prepare.ts"
import { spoolArchive } from "./archive.ts"
import { readDockerArchive } from "./load-docker.ts"
import { readOciArchive } from "./load-oci.ts"

/** Gives the ids and names that were loaded; nothing has changed when it throws. */
export const loadImages = (
  foundation: Foundation & { catalog: Catalog; garbage: Garbage },
  tar: AsyncIterable<Uint8Array>,
  report: (progress: ImageProgress) => void,
  signal?: AbortSignal,
): Promise<readonly NewImage[]> =>
  foundation.garbage.during((suspect) =>
    withBallast(async () => {
      const { content, bounds, catalog } = foundation
      const archive = await spoolArchive(foundation, tar, { bounds, suspect, signal })
      crashPoint("load:spooled")
      const sources = archive.has("manifest.json")
        ? await readDockerArchive(archive)
        : archive.has("index.json")
          ? await readOciArchive(archive)
          : undefined
      if (sources === undefined)
        throw failure(
          "invalid",
          archive.has("repositories")
            ? "the archive is of docker older than 1.10: load it with a newer docker and save it again"
            : "the archive holds no images: neither manifest.json nor index.json is in it (a root file system is imported, not loaded)",
        )
      const images: NewImage[] = []
      for (const source of sources)
        images.push({
          record: await prepareImage({ ...foundation, scanned: archive.scanned }, source, report, signal),
          names: source.names,
        })
      signal?.throwIfAborted()
      await content.sync()
      for (const { record } of images) await foundation.snapshots.persist(record.chainId)
      crashPoint("load:prepared")
      for (const { record, names } of images)
        for (const name of names) {
          const before = catalog.idOf(name)
          if (before !== undefined && before !== record.id)
            report({
              status: `The image ${familiarReference(name)} already exists, renaming the old one with ID ${before} to empty string`,
            })
        }
      catalog.put(images)
      crashPoint("load:named")
      return images
    }),
  )
