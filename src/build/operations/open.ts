// Opens the operations: commands (commands.ts) and files (files/).
import type { BuildRooms } from "../rooms.ts"
import { openCommands } from "./commands.ts"
import { openFiles } from "./files/files.ts"
import type { Operations } from "./operations.ts"

export const openOperations = (rooms: BuildRooms): Operations => {
  const files = openFiles(rooms)
  return { ...openCommands(rooms, files.asLayers), ...files }
}
