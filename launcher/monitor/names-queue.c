// Questions in flight: places in one mapping, a list by age, and where sending has got to.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "names.h"

static uint16_t index_of(const struct questions *questions, const struct question *question) {
  return (uint16_t)(question - questions->all);
}

static struct question *at(struct questions *questions, uint16_t index) {
  return index == NAMES_NOBODY ? NULL : &questions->all[index];
}

bool questions_map(struct questions *questions) {
  if (questions->all) return true;
  void *mapped = mmap(NULL, NAMES_QUESTIONS_MAX * sizeof *questions->all, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return false;
  *questions = (struct questions){.all = mapped, .oldest = NAMES_NOBODY, .newest = NAMES_NOBODY,
                                  .unsent = NAMES_NOBODY, .unused = NAMES_NOBODY};
  return true;
}

void questions_unmap(struct questions *questions) {
  if (!questions->all) return;
  while (questions->oldest != NAMES_NOBODY) question_release(questions, at(questions, questions->oldest));
  munmap(questions->all, NAMES_QUESTIONS_MAX * sizeof *questions->all);
  questions->all = NULL;
}

struct question *question_take(struct questions *questions) {
  struct question *question = at(questions, questions->unused);
  if (question) {
    questions->unused = question->newer;
  } else {
    if (questions->touched == NAMES_QUESTIONS_MAX) return NULL;
    question = &questions->all[questions->touched++];
  }
  question->client = NAMES_NOBODY;
  question->generation++;
  return question;
}

void question_return(struct questions *questions, struct question *question) {
  question->newer = questions->unused;
  questions->unused = index_of(questions, question);
}

void question_append(struct questions *questions, struct question *question, enum names_kind kind, size_t bytes,
                     int64_t now) {
  uint8_t *frame = question->longer ? question->longer : question->frame;
  uint16_t index = index_of(questions, question);
  const uint8_t header[NAMES_HEADER] = {
      (uint8_t)bytes, (uint8_t)(bytes >> 8), (uint8_t)kind, question->client != NAMES_NOBODY,
      (uint8_t)index, (uint8_t)(index >> 8), (uint8_t)question->generation, (uint8_t)(question->generation >> 8)};
  memcpy(frame, header, sizeof header);
  question->length = (uint32_t)(NAMES_HEADER + bytes);
  question->born = now;
  question->busy = true;
  question->newer = NAMES_NOBODY;
  question->older = questions->newest;
  struct question *newest = at(questions, questions->newest);
  if (newest) newest->newer = index;
  else questions->oldest = index;
  questions->newest = index;
  if (questions->unsent == NAMES_NOBODY) {
    questions->unsent = index;
    questions->unsent_offset = 0;
  }
  if (question->longer) questions->longer_bytes += question->length;
}

struct question *question_find(struct questions *questions, uint32_t ticket) {
  uint32_t index = ticket & 0xffff;
  if (!questions->all || index >= questions->touched) return NULL;
  struct question *question = &questions->all[index];
  return question->busy && question->generation == ticket >> 16 ? question : NULL;
}

void question_release(struct questions *questions, struct question *question) {
  uint16_t index = index_of(questions, question);
  struct question *older = at(questions, question->older), *newer = at(questions, question->newer);
  if (older) older->newer = question->newer;
  else questions->oldest = question->newer;
  if (newer) newer->older = question->older;
  else questions->newest = question->older;
  if (questions->unsent == index) {
    questions->unsent = question->newer;
    questions->unsent_offset = 0;
  }
  if (question->longer) questions->longer_bytes -= question->length;
  free(question->longer);
  question->longer = NULL;
  question->busy = false;
  question_return(questions, question);
}

struct question *question_oldest(struct questions *questions) {
  struct question *oldest = at(questions, questions->oldest);
  if (!oldest || questions->oldest != questions->unsent || !questions->unsent_offset) return oldest;
  return at(questions, oldest->newer);
}

void questions_rewind(struct questions *questions) {
  questions->unsent = questions->all ? questions->oldest : NAMES_NOBODY;
  questions->unsent_offset = 0;
}

size_t questions_gather(struct questions *questions, struct iovec *parts, size_t most) {
  size_t count = 0;
  if (!questions->all) return 0;
  uint32_t offset = questions->unsent_offset;
  for (struct question *next = at(questions, questions->unsent); next && count < most;
       next = at(questions, next->newer), offset = 0) {
    uint8_t *frame = next->longer ? next->longer : next->frame;
    parts[count++] = (struct iovec){frame + offset, next->length - offset};
  }
  return count;
}

void questions_sent(struct questions *questions, size_t bytes) {
  while (bytes) {
    struct question *next = at(questions, questions->unsent);
    size_t left = next->length - questions->unsent_offset;
    if (bytes < left) {
      questions->unsent_offset += (uint32_t)bytes;
      return;
    }
    bytes -= left;
    questions->unsent = next->newer;
    questions->unsent_offset = 0;
  }
}
