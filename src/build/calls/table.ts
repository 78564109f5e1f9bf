// Rows of a table as text: every column as wide as its widest cell and some blanks, the last one as it is.

export const tableText = (rows: readonly (readonly string[])[], blanks: number): string => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => [...(row[column] ?? "")].length)),
  )
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1
          ? cell
          : cell + " ".repeat((widths[column] ?? 0) + blanks - [...cell].length),
      )
      return `${cells.join("")}\n`
    })
    .join("")
}
