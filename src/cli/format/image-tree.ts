// `images --tree`: which images stand on the layers of others, and what each adds.
import { humanSize, shortId } from "./units.ts"

/** An image with its layers, lowest first. */
export interface TreeImage {
  readonly id: string
  readonly names: readonly string[]
  readonly layers: readonly string[]
  /** Bytes of all layers. */
  readonly size: number
}

interface Node {
  readonly image: TreeImage
  readonly children: Node[]
}

const standsOn = (image: TreeImage, base: TreeImage): boolean =>
  base.layers.length > 0 &&
  base.layers.length < image.layers.length &&
  base.layers.every((layer, at) => image.layers[at] === layer)

/** Every image beneath the largest other one whose layers it begins with. */
const grow = (images: readonly TreeImage[]): Node[] => {
  const nodes = new Map(images.map((image) => [image.id, { image, children: [] as Node[] }]))
  const roots: Node[] = []
  for (const node of nodes.values()) {
    const [base] = images
      .filter((other) => standsOn(node.image, other))
      .toSorted((a, b) => b.layers.length - a.layers.length)
    const parent = base === undefined ? undefined : nodes.get(base.id)
    if (parent === undefined) roots.push(node)
    else parent.children.push(node)
  }
  return roots
}

/** Lines of the tree under a heading. */
export const imageTree = (images: readonly TreeImage[]): string[] => {
  const rows: [name: string, id: string, size: string, own: string][] = [
    ["IMAGE", "ID", "SIZE", "OF ITS OWN"],
  ]
  const walk = (nodes: readonly Node[], indent: string, below: number, top: boolean): void => {
    for (const [at, { image, children }] of nodes.entries()) {
      const last = at === nodes.length - 1
      const branch = top ? "" : last ? "└─ " : "├─ "
      const name = image.names.length > 0 ? image.names.join(", ") : "<none>"
      rows.push([
        `${indent}${branch}${name}`,
        shortId(image.id),
        humanSize(image.size, 3),
        humanSize(Math.max(0, image.size - below), 3),
      ])
      walk(children, top ? "" : `${indent}${last ? "   " : "│  "}`, image.size, false)
    }
  }
  walk(grow(images), "", 0, true)
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => [...(row[column] ?? "")].length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("   ")
      .trimEnd(),
  )
}
