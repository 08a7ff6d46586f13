#include "actuators/process/own_program.hpp"

#include <fcntl.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actuators/process/start_supervisor.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/own_programs.hpp"

// Of the linker: where this program begins.
extern "C" [[gnu::visibility("hidden")]] const ElfW(Ehdr) __ehdr_start;  // NOLINT(bugprone-reserved-identifier)

namespace nucleus::process {

namespace {

constinit int kept_clone = -1;  // set before there are constructors

constexpr const char* kSelf = "/proc/self/exe";

// The link leads to a mount of the namespace that we were executed in. From another, which an ordinary user's nucleus
// has entered since, it cannot be cloned; then by its path.
Result<sys::Fd> OpenSelf() {
  auto clone = OpenProgram(kSelf);
  if (clone || clone.error().sys_errno != EINVAL) return clone;
  std::array<char, PATH_MAX> path{};
  const ssize_t size = ::readlink(kSelf, path.data(), path.size());
  if (size <= 0) return FailSys("readlink", kSelf);
  clone = OpenProgram(std::string(path.data(), static_cast<std::size_t>(size)));
  // What has our path here may be another file.
  struct stat its{}, ours{};
  if (!clone || ::fstat(clone->get(), &its) != 0 || ::stat(kSelf, &ours) != 0) return clone;
  if (its.st_dev == ours.st_dev && its.st_ino == ours.st_ino) return clone;
  return Fail(ErrorCode::kConflict, "clone", kSelf, "its path leads to another file here");
}

#ifndef NUCLEUS_SANITIZED  // whose run time writes to our data behind our back

// What the kernel has mapped of a segment of ours, in whole pages.
struct Pages {
  char* begin;
  std::size_t size;
  off_t offset;  // in the file
  int protection;
};

class Segments {
 public:
  Segments()
      // An address is a number there.
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      : headers_(reinterpret_cast<const ElfW(Phdr) *>(::getauxval(AT_PHDR)), ::getauxval(AT_PHNUM)),
        page_(::getauxval(AT_PAGESZ)) {
    // The first segment begins with the file, and so with its header.
    const auto first = std::ranges::find(headers_, static_cast<ElfW(Word)>(PT_LOAD), &ElfW(Phdr)::p_type);
    if (first != headers_.end()) base_ = reinterpret_cast<std::uintptr_t>(&__ehdr_start) - first->p_vaddr;
  }
  [[nodiscard]] std::span<const ElfW(Phdr)> headers() const { return headers_; }
  [[nodiscard]] Pages Of(const ElfW(Phdr) & header) const {
    const std::uintptr_t begin = (base_ + header.p_vaddr) & ~(page_ - 1);
    const std::uintptr_t end = (base_ + header.p_vaddr + header.p_filesz + page_ - 1) & ~(page_ - 1);
    const int protection = ((header.p_flags & PF_R) != 0 ? PROT_READ : 0) |
                           ((header.p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
                           ((header.p_flags & PF_X) != 0 ? PROT_EXEC : 0);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return {reinterpret_cast<char*>(begin), end - begin, static_cast<off_t>(header.p_offset & ~(page_ - 1)),
            protection};
  }
  // What was made read-only once it was relocated; the linker script ends it with a page.
  [[nodiscard]] Pages Relocated(const ElfW(Phdr) & header) const {
    Pages pages = Of(header);
    pages.size =
        ((base_ + header.p_vaddr + header.p_memsz) & ~(page_ - 1)) - reinterpret_cast<std::uintptr_t>(pages.begin);
    return pages;
  }

 private:
  std::span<const ElfW(Phdr)> headers_;
  std::uintptr_t page_, base_ = 0;
};

// Data has been written to: a copy in memory of its own takes the place of the file's. Nothing may write to it between
// the two calls, so there is nothing between them.
bool Detach(const Pages& data) {
  void* copy = ::mmap(nullptr, data.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (copy == MAP_FAILED) return false;
  std::memcpy(copy, data.begin, data.size);
  return ::mremap(copy, data.size, data.size, MREMAP_MAYMOVE | MREMAP_FIXED, data.begin) == data.begin;
}

// Where the kernel takes the parts of this process to be; proc_pid_stat(5). All of it is said anew with the file.
std::optional<prctl_mm_map> OwnMap() {
  const auto text = sys::ReadFile("/proc/self/stat");
  if (!text) return std::nullopt;
  prctl_mm_map map{};
  const std::array fields{std::pair{26, &map.start_code}, std::pair{27, &map.end_code}, std::pair{28, &map.start_stack},
                          std::pair{45, &map.start_data}, std::pair{46, &map.end_data}, std::pair{47, &map.start_brk},
                          std::pair{48, &map.arg_start},  std::pair{49, &map.arg_end},  std::pair{50, &map.env_start},
                          std::pair{51, &map.env_end}};
  const char* at = text->c_str() + text->rfind(')') + 1;
  int field = 3;  // the second is in the brackets
  for (const auto& [number, value] : fields) {
    for (; field < number; ++field) {
      at = std::strchr(at + 1, ' ');
      if (at == nullptr) return std::nullopt;
    }
    *value = std::strtoull(at, nullptr, 10);
  }
  map.brk = static_cast<std::uint64_t>(::syscall(SYS_brk, 0));
  return map;
}

// The kernel lets a program's file be another once nothing of the one that was executed is mapped: every segment is
// mapped again, where it is, from the same file by way of the clone. PR_SET_MM(2const). Where that ends
// before its end nothing has changed that a program could see.
bool MapFrom(const sys::Fd& clone) {
  const auto opened = sys::Open("/proc/self/fd/" + std::to_string(clone.get()), O_RDONLY);
  auto map = OwnMap();
  if (!opened || !map) return false;
  map->exe_fd = static_cast<std::uint32_t>(opened->get());
  const auto change = [&map] { return ::prctl(PR_SET_MM, PR_SET_MM_MAP, &*map, sizeof *map, 0); };
  if (change() != 0 && errno != EBUSY) return false;  // may not, or cannot
  const Segments segments;
  for (const auto& header : segments.headers()) {
    if (header.p_type != PT_LOAD) continue;
    const Pages pages = segments.Of(header);
    if ((header.p_flags & PF_W) != 0) {
      if (!Detach(pages)) return false;
    } else if (::mmap(pages.begin, pages.size, pages.protection, MAP_PRIVATE | MAP_FIXED, opened->get(),
                      pages.offset) == MAP_FAILED) {
      return false;
    }
  }
  for (const auto& header : segments.headers()) {
    if (header.p_type != PT_GNU_RELRO) continue;
    const Pages pages = segments.Relocated(header);
    if (::mprotect(pages.begin, pages.size, PROT_READ) != 0) return false;
  }
  return change() == 0;
}

#else

bool MapFrom(const sys::Fd& /*clone*/) {
  return false;
}

#endif

// What is executed from the clone learns where the programs beside it are.
struct Variables {
  std::string place;
  std::vector<char*> list;
};
Variables WithPlace(char** environment) {
  Variables variables{std::string(sys::kPlaceVariable) + "=" + std::string(sys::OwnPlace()), {}};
  const std::string_view name(variables.place.data(), std::strlen(sys::kPlaceVariable) + 1);
  for (char** variable = environment; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with(name)) variables.list.push_back(*variable);
  }
  variables.list.push_back(variables.place.data());
  variables.list.push_back(nullptr);
  return variables;
}

}  // namespace

Result<> RunFromClone(char** argv, char** environment, Renewal renewal) {
  struct statvfs at{};
  if (::statvfs(kSelf, &at) != 0) return FailSys("statvfs", kSelf);
  if ((at.f_flag & ST_RDONLY) == 0) {
    sys::RememberOwnPlace();
    sys::Fd clone = TRY(OpenSelf());
    if (renewal == Renewal::kExecutedAgain || !MapFrom(clone)) {
      auto variables = WithPlace(environment);
      ::syscall(SYS_execveat, clone.get(), "", argv, variables.list.data(), AT_EMPTY_PATH);
      return FailSys("execveat", kSelf);
    }
    kept_clone = clone.release();
  }
  // What is in our memory, the environment of the workload among it, is in no core dump and for nobody to trace.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailSys("prctl", "PR_SET_DUMPABLE");
  return {};
}

sys::Fd TakeClone() {
  return sys::Fd(std::exchange(kept_clone, -1));
}

}  // namespace nucleus::process
