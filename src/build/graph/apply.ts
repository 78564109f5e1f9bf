// One instruction of a stage: what the stage is after it.
import {
  applyArg,
  applyCommand,
  applyEnv,
  applyExpose,
  applyHealthcheck,
  applyLabel,
  applyMaintainer,
  applyOnBuild,
  applyShell,
  applyStopSignal,
  applyUser,
  applyVolume,
} from "./configure.ts"
import { applyCopy, applyWorkdir } from "./copy.ts"
import { applyRun } from "./run.ts"
import type { PlannedInstruction, PlannedStage, StageState } from "./stage.ts"
import type { Surroundings } from "./surroundings.ts"

/** Throws BuildFailure without a place: the caller knows it. */
export const applyInstruction = (
  surroundings: Surroundings,
  stage: PlannedStage,
  state: StageState,
  planned: PlannedInstruction,
): StageState => {
  const { instruction } = planned
  const around = { ...surroundings, findings: surroundings.findings.under(instruction.comments) }
  switch (instruction.type) {
    case "ADD":
    case "COPY":
      return applyCopy(around, stage, state, planned, instruction)
    case "ARG":
      return applyArg(around, state, instruction)
    case "CMD":
    case "ENTRYPOINT":
      return applyCommand(around, stage, state, instruction)
    case "ENV":
      return applyEnv(around, state, instruction)
    case "LABEL":
      return applyLabel(around, state, instruction)
    case "EXPOSE":
      return applyExpose(around, state, instruction)
    case "HEALTHCHECK":
      return applyHealthcheck(around, stage, state, instruction)
    case "MAINTAINER":
      return applyMaintainer(state, instruction)
    case "ONBUILD":
      return applyOnBuild(around, state, instruction)
    case "RUN":
      return applyRun(around, stage, state, planned, instruction)
    case "SHELL":
      return applyShell(state, instruction)
    case "STOPSIGNAL":
      return applyStopSignal(around, state, instruction)
    case "USER":
      return applyUser(around, state, instruction)
    case "VOLUME":
      return applyVolume(around, state, instruction)
    case "WORKDIR":
      return applyWorkdir(around, stage, state, planned, instruction)
    case "FROM":
      return state
  }
}
