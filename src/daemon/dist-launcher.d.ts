// The built launcher as a file that the bundler embeds; the import's value is its path.
declare module "*/dist/launcher" {
  const path: string
  // biome-ignore lint/style/noDefaultExport: what the bundler makes of a file import is a default export
  export default path
}
