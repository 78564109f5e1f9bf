// Door. The Docker Engine API's shapes: schemas of what clients send, types of what they read. Only faces import it.
export * from "./build.ts"
export * from "./container.ts"
export * from "./create.ts"
export * from "./image.ts"
export * from "./registry.ts"
export * from "./requests.ts"
export * from "./stats.ts"
export * from "./system.ts"
