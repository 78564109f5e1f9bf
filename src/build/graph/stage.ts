// A stage while the graph is made: as it is planned, and as its instructions have left it so far.
import type { ExecutionConfig } from "../../oci/execution-config.ts"
import type { Platform } from "../../oci/platform.ts"
import type { Instruction, InstructionOf, Place } from "../dockerfile/instructions.ts"
import type { ToldStep } from "../progress.ts"
import type { Environment } from "./environment.ts"
import type { Input, ResolvedImage, StageStep } from "./graph.ts"

/** Declared by ARG in a stage; undefined = declared without a value. */
export interface DeclaredArgument {
  readonly key: string
  readonly value: string | undefined
}

/** What a stage is after some of its instructions. */
export interface StageState {
  readonly root: Input
  readonly config: ExecutionConfig
  readonly author: string
  /** The image's own, as its base has it. */
  readonly image: Platform
  /** What commands run as, and bases are asked for. */
  readonly platform: Platform
  /** Variables that instructions see: the image's, ENV and ARG. */
  readonly env: Environment
  /** Cleaned working directory, always absolute. */
  readonly directory: string
  readonly args: readonly DeclaredArgument[]
  readonly steps: readonly StageStep[]
  readonly base?: ResolvedImage
  /** A WORKDIR was given in this Dockerfile. */
  readonly directorySet: boolean
}

export interface PlannedInstruction {
  readonly instruction: Instruction
  /** COPY --from and the mounts of RUN, by their index; undefined = the build context. */
  readonly sources: readonly (PlannedStage | undefined)[]
  /** It is a trigger of the base image. */
  readonly onBuild: boolean
}

export interface PlannedStage {
  /** undefined for what is named by COPY --from or a mount and is no stage. */
  readonly from: InstructionOf<"FROM"> | undefined
  /** With AS, in lower case; "" = none. */
  readonly name: string
  /** In progress: the name, or "stage-1"; "" when it is the only one. */
  shown: string
  /** Expanded: an image, an earlier stage or "scratch". */
  readonly baseName: string
  readonly wantedPlatform: Platform | undefined
  readonly base: PlannedStage | undefined
  /** Key in namedContexts that stands for this stage. */
  readonly context: string | undefined
  readonly place: Place | undefined
  /** --no-cache or --no-cache-filter name it. */
  readonly fresh: boolean
  instructions: readonly PlannedInstruction[]
  /** Stages that its instructions take files from, and the instruction's place. */
  readonly needs: Map<PlannedStage, Place>
  /** Steps that progress counts. */
  total: number
  counted: number
  /** Its triggers were taken over. */
  triggered: boolean
  /** Before its own instructions: set when its base image is known. */
  begin: StageState | undefined
  /** After all of them. */
  end: StageState | undefined
  /** What it consists of, as it is told: FROM, then the instructions with the digests of their nodes. */
  readonly told: ToldStep[]
  /** Of the last CMD, ENTRYPOINT and HEALTHCHECK of its own. */
  readonly lastOf: Map<"CMD" | "ENTRYPOINT" | "HEALTHCHECK", Place>
}
