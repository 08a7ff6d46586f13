#include "actuators/process/map_again.hpp"

#include <utility>

namespace nucleus::process {

namespace {

constinit int kept_clone = -1;  // set before there are constructors

}  // namespace

int ReleaseClone() {
  return std::exchange(kept_clone, -1);
}

sys::Fd TakeClone() {
  return sys::Fd(ReleaseClone());
}

}  // namespace nucleus::process

#if defined(__x86_64__) && !defined(NUCLEUS_SANITIZED)

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <climits>
#include <cstddef>

#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/own_programs.hpp"
#include "actuators/sys/raw_call.hpp"

// Of the linker: where this program begins.
extern "C" [[gnu::visibility("hidden")]] const ElfW(Ehdr) __ehdr_start;  // NOLINT(bugprone-reserved-identifier)

namespace nucleus::process {

namespace {

constexpr std::uintptr_t kPage = 4096;

using sys::RawCall;

std::uintptr_t At(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}
bool IsError(long result) {
  return result < 0 && result > -4096;
}

// The kernel's word on this process; getauxval(3).
struct Auxiliary {
  const ElfW(Phdr) * headers = nullptr;
  std::size_t count = 0;
  std::uintptr_t page = 0;
};
Auxiliary Find(const std::uintptr_t* vector) {
  Auxiliary found;
  for (; vector[0] != AT_NULL; vector += 2) {
    // An address is a number there.
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    if (vector[0] == AT_PHDR) found.headers = reinterpret_cast<const ElfW(Phdr)*>(vector[1]);
    if (vector[0] == AT_PHNUM) found.count = vector[1];
    if (vector[0] == AT_PAGESZ) found.page = vector[1];
  }
  return found;
}

// Where the kernel takes the parts of this process to be; proc_pid_stat(5). All of it is said anew with the file, and
// as execve(2) says it.
prctl_mm_map MapOf(const std::uintptr_t* stack, const Auxiliary& told, std::uintptr_t base) {
  prctl_mm_map map{};
  map.start_code = ~0ULL;
  for (const ElfW(Phdr)* header = told.headers; header != told.headers + told.count; ++header) {
    if (header->p_type != PT_LOAD) continue;
    const std::uintptr_t begin = base + header->p_vaddr, end = begin + header->p_filesz;
    if ((header->p_flags & PF_X) != 0 && begin < map.start_code) map.start_code = begin;
    if ((header->p_flags & PF_X) != 0 && end > map.end_code) map.end_code = end;
    if (begin > map.start_data) map.start_data = begin;
    if (end > map.end_data) map.end_data = end;
  }
  const std::uintptr_t* word = stack + 1;  // argc, argv[0]
  map.start_stack = At(stack);
  map.arg_start = map.arg_end = *word;
  const auto after = [](std::uintptr_t string) {
    const char* at = reinterpret_cast<const char*>(string);  // NOLINT(performance-no-int-to-ptr)
    while (*at != '\0') ++at;
    return At(at) + 1;
  };
  for (; *word != 0; ++word)
    if (word[1] == 0) map.arg_end = after(*word);
  map.env_start = map.env_end = map.arg_end;
  for (++word; *word != 0; ++word)
    if (word[1] == 0) map.env_end = after(*word);
  map.start_brk = map.brk = static_cast<std::uintptr_t>(RawCall(SYS_brk));
  return map;
}

// Pages of the file that are written to are copied, and those that have nothing of it made, at once: each would be by a
// fault of its own. MADV_POPULATE_WRITE, madvise(2); where the kernel has no such advice they are. What follows the
// segment in its last page of the file is none of the program's.
void Fill(std::uintptr_t begin, std::uintptr_t end_of_file, std::uintptr_t end_of_page, std::uintptr_t end_of_memory) {
  constexpr int kPopulateWrite = 23;
  RawCall(SYS_madvise, begin, ((end_of_memory + kPage - 1) & ~(kPage - 1)) - begin, kPopulateWrite);
  for (std::uintptr_t at = end_of_file; at != end_of_page; ++at)
    *reinterpret_cast<volatile char*>(at) = 0;  // NOLINT(performance-no-int-to-ptr)
}

bool MapSegment(const ElfW(Phdr) & header, std::uintptr_t base, int file) {
  const std::uintptr_t begin = (base + header.p_vaddr) & ~(kPage - 1);
  const std::uintptr_t end = base + header.p_vaddr + header.p_filesz;
  const std::size_t size = ((end + kPage - 1) & ~(kPage - 1)) - begin;
  const std::size_t offset = header.p_offset & ~(kPage - 1);
  const bool writable = (header.p_flags & PF_W) != 0;
  const unsigned protection = ((header.p_flags & PF_R) != 0 ? PROT_READ : 0U) | (writable ? PROT_WRITE : 0U) |
                              ((header.p_flags & PF_X) != 0 ? PROT_EXEC : 0U);
  if (IsError(RawCall(SYS_mmap, begin, size, protection, MAP_PRIVATE | MAP_FIXED, static_cast<unsigned>(file), offset)))
    return false;
  if (writable) Fill(begin, end, begin + size, base + header.p_vaddr + header.p_memsz);
  return true;
}

// The kernel lets a program's file be another once nothing of the one that was executed is mapped: every segment is
// mapped again, where it is, from the same file by way of the clone. PR_SET_MM(2const).
bool MapFrom(int file, const std::uintptr_t* stack, const Auxiliary& told) {
  // The first segment begins with the file, and so with its header.
  std::uintptr_t base = At(&__ehdr_start);
  for (std::size_t i = told.count; i > 0; --i)
    if (told.headers[i - 1].p_type == PT_LOAD) base = At(&__ehdr_start) - told.headers[i - 1].p_vaddr;
  auto map = MapOf(stack, told, base);
  map.exe_fd = static_cast<std::uint32_t>(file);
  constexpr long kBusy = -16;  // EBUSY: it may, and could, were nothing mapped
  const auto change = [&map] { return RawCall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, At(&map), sizeof map); };
  if (const long refused = change(); refused != 0 && refused != kBusy) return false;
  for (std::size_t i = 0; i < told.count; ++i)
    if (told.headers[i].p_type == PT_LOAD && !MapSegment(told.headers[i], base, file)) return false;
  return change() == 0;
}

// /proc/self/fd/N; opened again, for what open_tree(2) gives cannot be mapped.
int Reopen(int fd) {
  char path[] = "/proc/self/fd/...";
  char* at = path + sizeof "/proc/self/fd/" - 1;
  if (fd > 99) return -1;
  if (fd > 9) *at++ = static_cast<char>('0' + fd / 10);
  *at++ = static_cast<char>('0' + fd % 10);
  *at = '\0';
  return static_cast<int>(RawCall(SYS_openat, static_cast<unsigned>(AT_FDCWD), At(path), O_RDONLY | O_CLOEXEC));
}

int CloneOf(const char* self) {
  const long clone =
      RawCall(SYS_open_tree, static_cast<unsigned>(AT_FDCWD), At(self), sys::kOpenTreeClone | sys::kOpenTreeCloexec);
  const sys::MountAttributes read_only{
      .set = sys::kAttrReadOnly | sys::kAttrNoSuid | sys::kAttrNoDev, .clear = 0, .propagation = 0, .userns_fd = 0};
  const auto fd = static_cast<std::uintptr_t>(clone);
  if (clone >= 0 && RawCall(SYS_mount_setattr, fd, At(""), AT_EMPTY_PATH, At(&read_only), sizeof read_only) == 0)
    return static_cast<int>(clone);
  if (clone >= 0) RawCall(SYS_close, fd);
  return -1;
}

// What the link said before: the directory.
void KeepPlace(const char* link, long size) {
  while (size > 0 && link[size - 1] != '/') --size;
  char* place = sys::RoomForOwnPlace();
  for (long i = 0; i < size; ++i) place[i] = link[i];
}

}  // namespace

void MapAgain(const std::uintptr_t* stack, const std::uintptr_t* auxiliary) {
  const auto told = Find(auxiliary);
  if (told.headers == nullptr || told.page != kPage) return;
  // Else ours would be taken for a standard file.
  for (std::uintptr_t fd = 0; fd < 3; ++fd)
    if (RawCall(SYS_fcntl, fd, F_GETFD) < 0) return;
  constexpr char kSelf[] = "/proc/self/exe";
  char link[PATH_MAX];  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const long size = RawCall(SYS_readlink, At(kSelf), At(link), sizeof link - 1);
  if (size == 1) return;  // "/": a clone already
  const int clone = CloneOf(kSelf);
  if (clone < 0) return;
  const int file = Reopen(clone);
  const bool mapped = file >= 0 && MapFrom(file, stack, told);
  if (file >= 0) RawCall(SYS_close, static_cast<unsigned>(file));
  if (!mapped) {
    RawCall(SYS_close, static_cast<unsigned>(clone));
    return;
  }
  RawCall(SYS_prctl, PR_SET_DUMPABLE, 0);
  KeepPlace(link, size);
  kept_clone = clone;
}

}  // namespace nucleus::process

#else

void nucleus::process::MapAgain(const std::uintptr_t* /*stack*/, const std::uintptr_t* /*auxiliary*/) {}

#endif
