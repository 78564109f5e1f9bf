// Dockerfiles, and what BuildKit 0.34.2 finds in each of them (asked of it: facts, sorted by text).
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a Dockerfile's variables

export interface LintCase {
  readonly name: string
  readonly dockerfile: string
  /** "Rule first-last: message" */
  readonly findings: readonly string[]
  readonly error?: string
}

export const lintCases: readonly LintCase[] = [
  {
    name: "stage-name-casing",
    dockerfile: "FROM scratch AS Builder\n",
    findings: ["StageNameCasing 1-1: Stage name 'Builder' should be lowercase"],
  },
  {
    name: "from-as-casing-lower",
    dockerfile: "from scratch AS b\n",
    findings: ["FromAsCasing 1-1: 'AS' and 'from' keywords' casing do not match"],
  },
  {
    name: "from-as-casing-upper",
    dockerfile: "FROM scratch as b\n",
    findings: ["FromAsCasing 1-1: 'as' and 'FROM' keywords' casing do not match"],
  },
  {
    name: "no-empty-continuation",
    dockerfile: "FROM scratch\nENV a=b \\\n\n  c=d\n",
    findings: ["NoEmptyContinuation 4-4: Empty continuation line"],
  },
  {
    name: "consistent-instruction-casing-mixed",
    dockerfile: "FROM scratch\nEnv a=b\nLABEL c=d\n",
    findings: [
      "ConsistentInstructionCasing 2-2: Command 'Env' should match the case of the command majority (uppercase)",
    ],
  },
  {
    name: "consistent-instruction-casing-majority-lower",
    dockerfile: "from scratch\nenv a=b\nLABEL c=d\n",
    findings: [
      "ConsistentInstructionCasing 3-3: Command 'LABEL' should match the case of the command majority (lowercase)",
    ],
  },
  {
    name: "consistent-instruction-casing-tie",
    dockerfile: "FROM scratch\nenv a=b\n",
    findings: [
      "ConsistentInstructionCasing 2-2: Command 'env' should match the case of the command majority (uppercase)",
    ],
  },
  {
    name: "duplicate-stage-name",
    dockerfile: "FROM scratch AS b\nFROM scratch AS b\n",
    findings: ['DuplicateStageName 2-2: Duplicate stage name "b", stage names should be unique'],
  },
  {
    name: "reserved-stage-name",
    dockerfile: "FROM scratch AS context\nFROM scratch AS scratch\n",
    findings: [
      'ReservedStageName 1-1: Stage name should not use the same name as reserved stage "context"',
      'ReservedStageName 2-2: Stage name should not use the same name as reserved stage "scratch"',
    ],
  },
  {
    name: "json-args-recommended",
    dockerfile: "FROM scratch\nCMD a\nENTRYPOINT b\n",
    findings: [
      "JSONArgsRecommended 2-2: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
      "JSONArgsRecommended 3-3: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
    ],
  },
  {
    name: "json-args-with-shell",
    dockerfile: 'FROM scratch\nSHELL ["/bin/sh", "-c"]\nCMD a\n',
    findings: [],
  },
  {
    name: "maintainer-deprecated",
    dockerfile: "FROM scratch\nMAINTAINER me\n",
    findings: ["MaintainerDeprecated 2-2: Maintainer instruction is deprecated in favor of using label"],
  },
  {
    name: "undefined-arg-in-from",
    dockerfile: "ARG VERSION=1\nFROM base:${VERSIO}-x\n",
    findings: [
      "InvalidDefaultArgInFrom 2-2: Default value for ARG base:${VERSIO}-x results in empty or invalid base image name",
      "UndefinedArgInFrom 2-2: FROM argument 'VERSIO' is not declared (did you mean VERSION?)",
    ],
    error: 'failed to parse stage name "base:-x": invalid reference format',
  },
  {
    name: "undefined-arg-in-from-platform",
    dockerfile: "FROM --platform=$BULIDPLATFORM base\n",
    findings: [
      "UndefinedArgInFrom 1-1: FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)",
    ],
    error: "empty platform value from expression $BULIDPLATFORM (did you mean BUILDPLATFORM?)",
  },
  {
    name: "undefined-arg-in-from-stage-arg",
    dockerfile: "FROM scratch AS a\nARG X=scratch\nFROM $X\n",
    findings: [
      "InvalidDefaultArgInFrom 3-3: Default value for ARG $X results in empty or invalid base image name",
      "UndefinedArgInFrom 3-3: FROM argument 'X' is not declared",
    ],
    error: "base name ($X) should not be blank",
  },
  {
    name: "workdir-relative-path",
    dockerfile: "FROM scratch\nWORKDIR a\nWORKDIR b\n",
    findings: [
      'WorkdirRelativePath 2-2: Relative workdir "a" can have unexpected results if the base image changes',
    ],
  },
  {
    name: "workdir-absolute-first",
    dockerfile: "FROM scratch\nWORKDIR /a\nWORKDIR b\n",
    findings: [],
  },
  {
    name: "undefined-var",
    dockerfile: "FROM base\nCOPY $foo .\nENV x=$PAHT y=$FOO\nLABEL a=${nope:-d}\nUSER $us\n",
    findings: [
      "UndefinedVar 2-2: Usage of undefined variable '$foo'",
      "UndefinedVar 3-3: Usage of undefined variable '$PAHT' (did you mean $PATH?)",
      "UndefinedVar 4-4: Usage of undefined variable '$nope'",
      "UndefinedVar 5-5: Usage of undefined variable '$us' (did you mean $x?)",
    ],
  },
  {
    name: "undefined-var-declared-argument",
    dockerfile: "FROM scratch\nARG foo\nCOPY $foo .\n",
    findings: [],
  },
  {
    name: "undefined-var-in-child",
    dockerfile: "FROM scratch AS a\nENV x=1\nFROM a\nENV y=$x z=$q\n",
    findings: ["UndefinedVar 4-4: Usage of undefined variable '$q' (did you mean $x?)"],
  },
  {
    name: "undefined-var-heredoc",
    dockerfile: "FROM scratch\nCOPY <<EOF /x\n$nope\nEOF\n",
    findings: ["UndefinedVar 2-4: Usage of undefined variable '$nope'"],
  },
  {
    name: "undefined-var-quoted-heredoc",
    dockerfile: "FROM scratch\nCOPY <<'EOF' /x\n$nope\nEOF\n",
    findings: [],
  },
  {
    name: "undefined-var-run-is-the-shells",
    dockerfile: "FROM base\nRUN echo $nope\n",
    findings: [],
  },
  {
    name: "multiple-instructions-disallowed",
    dockerfile:
      'FROM scratch\nCMD ["a"]\nCMD ["b"]\nENTRYPOINT ["a"]\nENTRYPOINT ["b"]\nHEALTHCHECK NONE\nHEALTHCHECK CMD ["x"]\n',
    findings: [
      "MultipleInstructionsDisallowed 2-2: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
      "MultipleInstructionsDisallowed 4-4: Multiple ENTRYPOINT instructions should not be used in the same stage because only the last one will be used",
      "MultipleInstructionsDisallowed 6-6: Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used",
    ],
  },
  {
    name: "multiple-instructions-in-stages",
    dockerfile: 'FROM scratch AS a\nCMD ["a"]\nFROM a\nCMD ["b"]\n',
    findings: [],
  },
  {
    name: "legacy-key-value-format",
    dockerfile: "FROM scratch\nENV a b\nLABEL c d\nenv e=f\n",
    findings: [
      "ConsistentInstructionCasing 4-4: Command 'env' should match the case of the command majority (uppercase)",
      'LegacyKeyValueFormat 2-2: "ENV key=value" should be used instead of legacy "ENV key value" format',
      'LegacyKeyValueFormat 3-3: "LABEL key=value" should be used instead of legacy "LABEL key value" format',
    ],
  },
  {
    name: "redundant-target-platform",
    dockerfile: "FROM --platform=$TARGETPLATFORM scratch\n",
    findings: [
      "RedundantTargetPlatform 1-1: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    ],
  },
  {
    name: "redundant-target-platform-braces",
    dockerfile: "FROM --platform=${TARGETPLATFORM} scratch\n",
    findings: [
      "RedundantTargetPlatform 1-1: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
    ],
  },
  {
    name: "build-platform",
    dockerfile: "FROM --platform=$BUILDPLATFORM scratch\n",
    findings: [],
  },
  {
    name: "secrets-used-in-arg-or-env",
    dockerfile:
      "FROM scratch\nARG API_TOKEN\nENV DB_PASSWORD=x AUTHOR=y\nENV AWS_SECRET_ACCESS_KEY=x PUBLIC_KEY=y TOKEN_FILE=z\nARG key passwd=1 monkey\n",
    findings: [
      'SecretsUsedInArgOrEnv 2-2: Do not use ARG or ENV instructions for sensitive data (ARG "API_TOKEN")',
      'SecretsUsedInArgOrEnv 3-3: Do not use ARG or ENV instructions for sensitive data (ENV "DB_PASSWORD")',
      'SecretsUsedInArgOrEnv 4-4: Do not use ARG or ENV instructions for sensitive data (ENV "AWS_SECRET_ACCESS_KEY")',
      'SecretsUsedInArgOrEnv 5-5: Do not use ARG or ENV instructions for sensitive data (ARG "key")',
      'SecretsUsedInArgOrEnv 5-5: Do not use ARG or ENV instructions for sensitive data (ARG "passwd")',
    ],
  },
  {
    name: "invalid-default-arg-in-from",
    dockerfile: "ARG VERSION\nFROM base:$VERSION\n",
    findings: [
      "InvalidDefaultArgInFrom 2-2: Default value for ARG base:$VERSION results in empty or invalid base image name",
    ],
    error: 'failed to parse stage name "base:": invalid reference format',
  },
  {
    name: "invalid-default-arg-empty",
    dockerfile: "ARG BASE\nFROM ${BASE}\n",
    findings: [
      "InvalidDefaultArgInFrom 2-2: Default value for ARG ${BASE} results in empty or invalid base image name",
    ],
    error: "base name (${BASE}) should not be blank",
  },
  {
    name: "valid-default-arg",
    dockerfile: "ARG BASE=alpine\nFROM ${BASE}\n",
    findings: [],
  },
  {
    name: "from-platform-flag-const-disallowed",
    dockerfile: "FROM --platform=linux/amd64 scratch AS a\n",
    findings: [
      'FromPlatformFlagConstDisallowed 1-1: FROM --platform flag should not use constant value "linux/amd64"',
    ],
  },
  {
    name: "from-platform-flag-in-stage-name",
    dockerfile: "FROM --platform=linux/amd64 scratch AS build_amd64\n",
    findings: [],
  },
  {
    name: "invalid-definition-description",
    dockerfile:
      "# check=experimental=InvalidDefinitionDescription\n# bar this is the bar\nARG foo=bar\n# wrong comment\nFROM scratch AS base\n# foo right\nARG foo\n# either\nARG a b\n",
    findings: [
      "InvalidDefinitionDescription 3-3: Comment for ARG should follow the format: `# foo <description>`",
      "InvalidDefinitionDescription 5-5: Comment for FROM should follow the format: `# base <description>`",
      "InvalidDefinitionDescription 9-9: Comment for ARG should follow the format: `# <arg_key> <description>`",
    ],
  },
  {
    name: "invalid-definition-description-is-experimental",
    dockerfile: "# bar this is the bar\nARG foo=bar\nFROM scratch\n",
    findings: [],
  },
  {
    name: "expose-proto-casing",
    dockerfile: "FROM scratch\nEXPOSE 80/TCP 53/Udp 90/tcp\n",
    findings: [
      "ExposeProtoCasing 2-2: Defined protocol '53/Udp' in EXPOSE instruction should be lowercase",
      "ExposeProtoCasing 2-2: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
    ],
  },
  {
    name: "expose-invalid-format",
    dockerfile: "FROM scratch\nEXPOSE 127.0.0.1:80:80 5000:5000/UDP [::1]::9000\n",
    findings: [
      "ExposeInvalidFormat 2-2: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
      "ExposeInvalidFormat 2-2: EXPOSE instruction should not define an IP address or host-port mapping, found '5000:5000/UDP'",
      "ExposeInvalidFormat 2-2: EXPOSE instruction should not define an IP address or host-port mapping, found '[::1]::9000'",
      "ExposeProtoCasing 2-2: Defined protocol '5000:5000/UDP' in EXPOSE instruction should be lowercase",
    ],
  },
  {
    name: "skip-one",
    dockerfile: "# check=skip=StageNameCasing\nFROM scratch AS A\nMAINTAINER me\n",
    findings: ["MaintainerDeprecated 3-3: Maintainer instruction is deprecated in favor of using label"],
  },
  {
    name: "skip-several",
    dockerfile: "# check=skip=StageNameCasing,MaintainerDeprecated\nFROM scratch AS A\nMAINTAINER me\n",
    findings: [],
  },
  {
    name: "skip-all",
    dockerfile: "# check=skip=all\nFROM scratch AS A\nMAINTAINER me\n",
    findings: [],
  },
  {
    name: "skip-for-one-instruction",
    dockerfile: "FROM scratch\n# check=skip=MaintainerDeprecated // old\nMAINTAINER me\nMAINTAINER you\n",
    findings: ["MaintainerDeprecated 4-4: Maintainer instruction is deprecated in favor of using label"],
  },
  {
    name: "error-of-findings",
    dockerfile: "# check=error=true\nFROM scratch AS A\nMAINTAINER me\n",
    findings: [
      "MaintainerDeprecated 3-3: Maintainer instruction is deprecated in favor of using label",
      "StageNameCasing 2-2: Stage name 'A' should be lowercase",
    ],
    error: "lint violation found for rules: StageNameCasing, MaintainerDeprecated",
  },
  {
    name: "error-without-findings",
    dockerfile: "# check=error=true\nFROM scratch\n",
    findings: [],
  },
  {
    name: "wrong-instruction",
    dockerfile: "FROM scratch AS A\nFOO x\n",
    findings: ["StageNameCasing 1-1: Stage name 'A' should be lowercase"],
    error: "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)",
  },
  {
    name: "wrong-later",
    dockerfile: "FROM scratch AS A\nCOPY --from=nope:$x a b\n",
    findings: ["StageNameCasing 1-1: Stage name 'A' should be lowercase"],
    error:
      "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
  },
  {
    name: "nothing-to-find",
    dockerfile: 'FROM scratch\nCOPY a b\nCMD ["x"]\n',
    findings: [],
  },
  {
    name: "empty-base",
    dockerfile: "ARG X=\nFROM $X\n",
    findings: [
      "InvalidDefaultArgInFrom 2-2: Default value for ARG $X results in empty or invalid base image name",
    ],
    error: "base name ($X) should not be blank",
  },
  {
    name: "unreachable-stages-are-looked-at",
    dockerfile: "FROM scratch AS a\nENV a b\nFROM scratch\n",
    findings: [
      'LegacyKeyValueFormat 2-2: "ENV key=value" should be used instead of legacy "ENV key value" format',
    ],
  },
]
