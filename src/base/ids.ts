// Identifiers: random 64-hex ids, names that people can say, and the grammar of both.
import { randomBytes, randomInt } from "node:crypto"

const adjectives =
  "able agile amber ample bold brave breezy bright brisk calm candid clear clever cosy crisp curious daring eager early earnest even fair famous fine firm fleet fond frank free fresh gentle glad golden grand happy hardy honest humble ideal jolly keen kind lively loyal lucid lucky mellow merry mighty mild modest neat nimble noble open patient plain polite proud quick quiet rapid ready robust rosy serene sharp silent simple sincere sleek smart snug sober solid sound spry stable steady stout strong subtle sunny sure swift tidy tough true upbeat vivid warm wise witty worthy young zealous zesty".split(
    " ",
  )
const surnames =
  "abel adams ampere archimedes babbage bell bernoulli bessel bohr boole bose bragg brahe cantor carson cauchy cavendish celsius curie darwin descartes dijkstra dirac doppler edison einstein euclid euler faraday fermat fermi feynman fibonacci fourier franklin galileo galois gauss germain goodall halley hamilton hawking heisenberg hero herschel hertz hilbert hopper hubble huygens hypatia jacobi joule kelvin kepler kirchhoff knuth lagrange laplace leibniz liskov lovelace mach maxwell meitner mendel mendeleev newton noether nobel ohm pascal pasteur pauli planck poincare ptolemy raman ramanujan riemann ritchie rontgen rutherford sagan shannon somerville tesla thales torvalds turing volta watt wiles wirth yalow yukawa".split(
    " ",
  )

/** 64 random hex digits. Never all decimal in the first twelve, so that a short id is no number. */
export const newId = (): string => {
  for (;;) {
    const id = randomBytes(32).toString("hex")
    if (!/^\d{12}/.test(id)) return id
  }
}

/** The twelve digits that people see. */
export const shortId = (id: string): string => id.replace(/^sha256:/, "").slice(0, 12)

/** Grammar of container and volume names: two or more of letters, digits, "_", "." and "-", not starting with a sign. */
export const namePattern = "[a-zA-Z0-9][a-zA-Z0-9_.-]"

export const isName = (text: string): boolean =>
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text) && text.length <= 255

/** A name such as "calm_noether". `taken` refuses one; after some tries a number is added. */
export const randomName = (taken: (name: string) => boolean): string => {
  for (let attempt = 0; ; attempt++) {
    const base = `${adjectives[randomInt(adjectives.length)]}_${surnames[randomInt(surnames.length)]}`
    const name = attempt < 6 ? base : `${base}${randomInt(10 ** Math.min(attempt - 5, 9))}`
    if (!taken(name)) return name
  }
}
