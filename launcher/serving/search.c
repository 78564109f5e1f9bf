// Finds and executes the program; when that fails, finds out why.
#include "search.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "own.h"

// The errno says it all.
#define NO_CAUSE "%s"

// The first bytes of a file, as the kernel's loaders look at them.
struct head {
  unsigned char bytes[4096];
  size_t length;
};

static bool head_read(const char *path, struct head *head) {
  OWN_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  ssize_t length = fd < 0 ? -1 : pread(fd, head->bytes, sizeof head->bytes - 1, 0);
  if (length < 0) return false;
  head->length = (size_t)length;
  head->bytes[length] = 0;
  return true;
}

static const char *machine_name(unsigned machine) {
  static const struct {
    unsigned machine;
    const char *name;
  } known[] = {{EM_X86_64, "x86_64"},   {EM_386, "i386"},       {EM_AARCH64, "aarch64"}, {EM_ARM, "arm"},
               {EM_PPC64, "ppc64"},     {EM_S390, "s390x"},     {EM_MIPS, "mips"},       {243, "riscv64"},
               {258, "loongarch64"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].machine == machine) return known[i].name;
  return "another machine";
}

static int explain_script(const struct head *head, int error, const char *path, struct failure *failure) {
  char interpreter[256];
  const char *at = (const char *)head->bytes + 2;
  at += strspn(at, " \t");
  size_t line = strcspn(at, "\n"), word = strcspn(at, " \t\n");
  if (line && at[line - 1] == '\r')
    return fail(failure, "exec", path, error, "the script has Windows (CR LF) line endings");
  snprintf(interpreter, sizeof interpreter, "%.*s", (int)word, at);
  if (!word) return fail(failure, "exec", path, error, "the script's #! line names no interpreter");
  if (error == ENOENT && access(interpreter, F_OK))
    return fail(failure, "exec", path, error, "interpreter \"%s\" not found", interpreter);
  if (error == EACCES && access(interpreter, X_OK))
    return fail(failure, "exec", path, error, "interpreter \"%s\" is not executable", interpreter);
  return fail(failure, "exec", path, error, "interpreter \"%s\" cannot be executed", interpreter);
}

// The path in the ELF file's PT_INTERP, copied; false when it has none within its head.
static bool elf_loader(const struct head *head, char *loader, size_t size) {
  Elf64_Ehdr header;
  if (head->length < sizeof header || head->bytes[EI_CLASS] != ELFCLASS64) return false;
  memcpy(&header, head->bytes, sizeof header);
  for (unsigned i = 0; i < header.e_phnum && header.e_phentsize >= sizeof(Elf64_Phdr); i++) {
    Elf64_Phdr part;
    if (header.e_phoff > head->length || header.e_phoff + (uint64_t)i * header.e_phentsize + sizeof part > head->length)
      return false;
    memcpy(&part, head->bytes + header.e_phoff + (size_t)i * header.e_phentsize, sizeof part);
    if (part.p_type != PT_INTERP) continue;
    if (part.p_offset >= head->length || part.p_filesz > head->length - part.p_offset) return false;
    snprintf(loader, size, "%.*s", (int)part.p_filesz, head->bytes + part.p_offset);
    return true;
  }
  return false;
}

static int explain_elf(const struct head *head, int error, const char *path, struct failure *failure) {
  char loader[256];
  struct utsname host;
  if (error == ENOEXEC && head->length >= 20) {
    unsigned machine = head->bytes[EI_DATA] == ELFDATA2MSB ? (unsigned)head->bytes[18] << 8 | head->bytes[19]
                                                           : (unsigned)head->bytes[19] << 8 | head->bytes[18];
    if (!uname(&host) && strcmp(machine_name(machine), host.machine))
      return fail(failure, "exec", path, error, "the program is built for %s, this machine is %s",
                  machine_name(machine),
                  host.machine);
    return fail(failure, "exec", path, error, "the program is a damaged ELF file");
  }
  if (error == ENOENT && elf_loader(head, loader, sizeof loader) && access(loader, F_OK))
    return fail(failure, "exec", path, error, "the dynamic loader %s is missing", loader);
  return fail(failure, "exec", path, error, "%s", error == ENOENT ? "the dynamic loader is missing" : "");
}

static int explain_denied(const char *path, const struct stat *status, int error, struct failure *failure) {
  struct statvfs mount;
  if (S_ISDIR(status->st_mode)) return fail(failure, "exec", path, error, "it is a directory");
  if (!S_ISREG(status->st_mode)) return fail(failure, "exec", path, error, "it is not a regular file");
  if (!statvfs(path, &mount) && mount.f_flag & ST_NOEXEC)
    return fail(failure, "exec", path, error, "it lies on a file system that is mounted noexec");
  if (!(status->st_mode & 0111))
    return fail(failure, "exec", path, error, "the file is not executable (mode %04o)", status->st_mode & 07777);
  if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS))
    return fail(failure, "exec", path, error, "the user may not execute the file (mode %04o, owner %u:%u)",
                status->st_mode & 07777, status->st_uid, status->st_gid);
  struct head head;
  if (head_read(path, &head) && head.length > 2 && !memcmp(head.bytes, "#!", 2))
    return explain_script(&head, error, path, failure);
  return fail(failure, "exec", path, error, NO_CAUSE, "");
}

static int explain(const char *path, int error, struct failure *failure) {
  struct stat status;
  struct head head;
  if (lstat(path, &status)) return fail(failure, "exec", path, error, NO_CAUSE, "");
  if (stat(path, &status)) {
    if (error != ENOENT) return fail(failure, "exec", path, error, NO_CAUSE, "");
    return fail(failure, "exec", path, error, "the program is a symbolic link that leads nowhere");
  }
  if (error == EACCES) return explain_denied(path, &status, error, failure);
  if ((error != ENOENT && error != ENOEXEC) || !head_read(path, &head))
    return fail(failure, "exec", path, error, NO_CAUSE, "");
  if (head.length == 0) return fail(failure, "exec", path, error, "the file is empty");
  if (head.length > 2 && !memcmp(head.bytes, "#!", 2)) return explain_script(&head, error, path, failure);
  if (head.length > 4 && !memcmp(head.bytes, ELFMAG, SELFMAG)) return explain_elf(&head, error, path, failure);
  return fail(failure, "exec", path, error, "the file is neither an ELF program nor a script with a #! line");
}

static int execute(const char *path, const char *const *argv, char **environment, struct failure *failure) {
  execve(path, (char *const *)(uintptr_t)argv, environment);
  return explain(path, errno, failure);
}

static const char *search_path(char **environment) {
  for (; *environment; environment++)
    if (!strncmp(*environment, "PATH=", 5)) return *environment + 5;
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

int program_execute(const char *const *argv, char **environment, struct failure *failure) {
  const char *name = argv[0];
  char path[PATH_MAX], denied[PATH_MAX] = "";
  struct stat status;
  if (!*name) return fail(failure, "exec", name, ENOENT, NO_CAUSE, "");
  if (strchr(name, '/')) return execute(name, argv, environment, failure);
  for (const char *at = search_path(environment); *at; at += strspn(at, ":")) {
    size_t length = strcspn(at, ":");
    const char *directory = at;
    at += length;
    if ((size_t)snprintf(path, sizeof path, "%.*s/%s", (int)length, directory, name) >= sizeof path) continue;
    // As Go's LookPath, which Docker goes by: what is no regular executable file is passed over.
    if (stat(path, &status) || !S_ISREG(status.st_mode)) continue;
    if (!faccessat(AT_FDCWD, path, X_OK, AT_EACCESS)) return execute(path, argv, environment, failure);
    if (!*denied) memcpy(denied, path, sizeof denied);
  }
  if (*denied) return fail(failure, "exec", name, ENOENT, "%s is there, but it is not executable", denied);
  return fail(failure, "exec", name, ENOENT, NO_CAUSE, "");
}
