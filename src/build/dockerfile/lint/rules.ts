// Every rule of `docker build --check`: what it is about, where it is explained, and its sentence for a case.
import { quoted } from "../quoted.ts"

interface Rule<Words extends readonly string[]> {
  readonly description: string
  readonly page: string
  readonly experimental: boolean
  readonly message: (...words: Words) => string
}

const rule = <Words extends readonly string[]>(
  description: string,
  page: string,
  message: (...words: Words) => string,
  experimental = false,
): Rule<Words> => ({ description, page, message, experimental })

const suggested = (prefix: string, word: string): string =>
  word === "" ? "" : ` (did you mean ${prefix}${word}?)`

export const rules = {
  StageNameCasing: rule(
    "Stage names should be lowercase",
    "stage-name-casing",
    (name: string) => `Stage name '${name}' should be lowercase`,
  ),
  FromAsCasing: rule(
    "The 'as' keyword should match the case of the 'from' keyword",
    "from-as-casing",
    (from: string, as: string) => `'${as}' and '${from}' keywords' casing do not match`,
  ),
  NoEmptyContinuation: rule(
    "Empty continuation lines will become errors in a future release",
    "no-empty-continuation",
    () => "Empty continuation line",
  ),
  ConsistentInstructionCasing: rule(
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
    "consistent-instruction-casing",
    (keyword: string, casing: string) =>
      `Command '${keyword}' should match the case of the command majority (${casing})`,
  ),
  DuplicateStageName: rule(
    "Stage names should be unique",
    "duplicate-stage-name",
    (name: string) => `Duplicate stage name "${name}", stage names should be unique`,
  ),
  ReservedStageName: rule(
    "Reserved words should not be used as stage names",
    "reserved-stage-name",
    (name: string) => `Stage name should not use the same name as reserved stage "${name}"`,
  ),
  JSONArgsRecommended: rule(
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    "json-args-recommended",
    (keyword: string) =>
      `JSON arguments recommended for ${keyword} to prevent unintended behavior related to OS signals`,
  ),
  MaintainerDeprecated: rule(
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    "maintainer-deprecated",
    () => "Maintainer instruction is deprecated in favor of using label",
  ),
  UndefinedArgInFrom: rule(
    "FROM command must use declared ARGs",
    "undefined-arg-in-from",
    (name: string, near: string) => `FROM argument '${name}' is not declared${suggested("", near)}`,
  ),
  WorkdirRelativePath: rule(
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    "workdir-relative-path",
    (path: string) =>
      `Relative workdir ${quoted(path)} can have unexpected results if the base image changes`,
  ),
  UndefinedVar: rule(
    "Variables should be defined before their use",
    "undefined-var",
    (name: string, near: string) => `Usage of undefined variable '$${name}'${suggested("$", near)}`,
  ),
  MultipleInstructionsDisallowed: rule(
    "Multiple instructions of the same type should not be used in the same stage",
    "multiple-instructions-disallowed",
    (keyword: string) =>
      `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`,
  ),
  LegacyKeyValueFormat: rule(
    "Legacy key/value format with whitespace separator should not be used",
    "legacy-key-value-format",
    (keyword: string) =>
      `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`,
  ),
  InvalidBaseImagePlatform: rule(
    "Base image platform does not match expected target platform",
    "",
    (image: string, actual: string, expected: string) =>
      `Base image ${image} was pulled with platform ${quoted(actual)}, expected ${quoted(expected)} for current build`,
  ),
  RedundantTargetPlatform: rule(
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    "redundant-target-platform",
    (written: string) =>
      `Setting platform to predefined ${written} in FROM is redundant as this is the default behavior`,
  ),
  SecretsUsedInArgOrEnv: rule(
    "Sensitive data should not be used in the ARG or ENV commands",
    "secrets-used-in-arg-or-env",
    (keyword: string, name: string) =>
      `Do not use ARG or ENV instructions for sensitive data (${keyword} ${quoted(name)})`,
  ),
  InvalidDefaultArgInFrom: rule(
    "Default value for global ARG results in an empty or invalid base image name",
    "invalid-default-arg-in-from",
    (image: string) => `Default value for ARG ${image} results in empty or invalid base image name`,
  ),
  FromPlatformFlagConstDisallowed: rule(
    "FROM --platform flag should not use a constant value",
    "from-platform-flag-const-disallowed",
    (platform: string) => `FROM --platform flag should not use constant value ${quoted(platform)}`,
  ),
  CopyIgnoredFile: rule(
    "Attempting to Copy file that is excluded by .dockerignore",
    "copy-ignored-file",
    (verb: string, path: string) =>
      `Attempting to ${verb} file ${quoted(path)} that is excluded by .dockerignore`,
  ),
  InvalidDefinitionDescription: rule(
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    "invalid-definition-description",
    (keyword: string, name: string) =>
      `Comment for ${keyword} should follow the format: \`# ${name} <description>\``,
    true,
  ),
  ExposeProtoCasing: rule(
    "Protocol in EXPOSE instruction should be lowercase",
    "expose-proto-casing",
    (port: string) => `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
  ),
  ExposeInvalidFormat: rule(
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    "expose-invalid-format",
    (port: string) =>
      `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
  ),
} as const

export type RuleName = keyof typeof rules

/** Where a rule is explained; "" for a rule without a page. */
export const ruleUrl = (name: RuleName): string =>
  rules[name].page === "" ? "" : `https://docs.docker.com/go/dockerfile/rule/${rules[name].page}/`
