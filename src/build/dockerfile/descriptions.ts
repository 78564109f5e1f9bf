// Descriptions in comments: "# name what it is for" right above what defines the name.

/** "" when none of the comments describes it. */
export const describes = (comments: readonly string[], name: string): string => {
  if (name === "") return ""
  const comment = comments.find((line) => line.startsWith(`${name} `))
  return comment === undefined ? "" : comment.slice(name.length + 1)
}
