// Opens the operations: commands (steps.ts) and files (files/).
import type { BuildRooms } from "../rooms.ts"
import { openFiles } from "./files/files.ts"
import type { Operations } from "./operations.ts"
import { openSteps } from "./steps.ts"

export const openOperations = (rooms: BuildRooms): Operations => {
  const files = openFiles(rooms)
  return { ...openSteps(rooms, files.asLayers), ...files }
}
