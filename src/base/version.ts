// The version of this program, written once here and in package.json (a test compares them).
export const VERSION = "0.1.0"
