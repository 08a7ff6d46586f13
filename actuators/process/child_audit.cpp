// The mount audit: after pivot_root the kernel's own list is read again and compared with what was asked. Every mount
// must be one we placed (or lie in a tree we cloned recursively), with at least the attributes it was to have; every
// mount we placed must be there. proc_pid_mountinfo(5).
#include <algorithm>
#include <cstring>

#include "actuators/process/child_data.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/openat2.hpp"

namespace nucleus::process {

namespace {

struct Line {
  std::uint64_t id = 0, parent = 0, attributes = 0;
  const char* point = nullptr;
  std::size_t point_size = 0;
};

bool TakeNumber(const char*& at, const char* end, std::uint64_t& value) {
  const char* start = at;
  value = 0;
  while (at < end && *at >= '0' && *at <= '9') value = value * 10 + static_cast<std::uint64_t>(*at++ - '0');
  return at > start;
}

bool TakeField(const char*& at, const char* end, const char*& field, std::size_t& size) {
  while (at < end && *at == ' ') ++at;
  field = at;
  while (at < end && *at != ' ') ++at;
  size = static_cast<std::size_t>(at - field);
  return size > 0;
}

std::uint64_t AttributesOf(const char* options, std::size_t size) {
  struct Word {
    const char* text;
    std::uint64_t attribute;
  };
  static constexpr Word kWords[] = {{"ro", sys::kAttrReadOnly},
                                    {"nosuid", sys::kAttrNoSuid},
                                    {"nodev", sys::kAttrNoDev},
                                    {"noexec", sys::kAttrNoExec}};
  std::uint64_t found = 0;
  const char* end = options + size;
  for (const char* at = options; at < end;) {
    const auto* comma = static_cast<const char*>(std::memchr(at, ',', static_cast<std::size_t>(end - at)));
    const char* stop = comma == nullptr ? end : comma;
    for (const Word& word : kWords) {
      const std::size_t length = std::strlen(word.text);
      if (static_cast<std::size_t>(stop - at) == length && std::memcmp(at, word.text, length) == 0)
        found |= word.attribute;
    }
    at = stop + 1;
  }
  return found;
}

// "36 35 98:0 /root /point ro,nosuid ...": the first six fields.
bool ParseLine(const char* at, const char* end, Line& line) {
  const char* field = nullptr;
  std::size_t size = 0;
  if (!TakeNumber(at, end, line.id) || at == end || *at++ != ' ' || !TakeNumber(at, end, line.parent)) return false;
  if (!TakeField(at, end, field, size) || !TakeField(at, end, field, size)) return false;  // device, root
  if (!TakeField(at, end, line.point, line.point_size) || !TakeField(at, end, field, size)) return false;
  line.attributes = AttributesOf(field, size);
  return true;
}

bool Found(Child& child, AuditFinding finding, int index, const Line& line, std::uint64_t attributes) {
  child.failure.finding = finding;
  child.failure.attributes = attributes;
  const std::size_t size = std::min(line.point_size, child.failure.text.size() - 1);
  if (line.point != nullptr) std::memcpy(child.failure.text.data(), line.point, size);
  child.failure.text[size] = '\0';
  return child.Fail(Step::kAudit, Call::kNone, index, 0);
}

// Which operation a mount comes from: -1 none.
int OperationOf(const Child& child, const Line& line, std::size_t known) {
  for (std::size_t i = 0; i < child.data.placed.size(); ++i)
    if (child.data.placed[i].mount == line.id) return static_cast<int>(i);
  for (std::size_t i = 0; i < known; ++i) {
    const auto& [mount, operation] = child.data.known_mounts[i];
    if (mount == line.parent && child.data.placed[static_cast<std::size_t>(operation)].recursive) return operation;
  }
  return -1;
}

bool CheckLine(Child& child, const Line& line, std::size_t& known) {
  const int operation = OperationOf(child, line, known);
  if (operation < 0) return Found(child, AuditFinding::kUnknownMount, -1, line, 0);
  Placed& placed = child.data.placed[static_cast<std::size_t>(operation)];
  if (placed.mount == line.id) placed.seen = true;
  const std::uint64_t lacking = placed.attributes & ~line.attributes;
  if (lacking != 0) return Found(child, AuditFinding::kFlags, operation, line, lacking);
  if (known == child.data.known_size) return Found(child, AuditFinding::kTooMany, operation, line, 0);
  child.data.known_mounts[known++] = {line.id, operation};
  return true;
}

}  // namespace

bool AuditMounts(Child& child) {
  if (!child.data.launch.mount_audit) return true;
  const int fd = ::openat(child.proc_self, "mountinfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return child.Fail(Step::kAudit, Call::kOpen);
  char* buffer = child.data.scratch.get();
  const std::size_t room = child.data.scratch_size;
  std::size_t used = 0;
  while (used < room) {
    const ssize_t got = ::read(fd, buffer + used, room - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return child.Fail(Step::kAudit, Call::kOpen);
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  ::close(fd);
  if (used == room) return Found(child, AuditFinding::kTooMany, -1, Line{}, 0);
  std::size_t known = 0;
  const char* end = buffer + used;
  for (const char* at = buffer; at < end;) {
    const auto* stop = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
    if (stop == nullptr) stop = end;
    Line line;
    if (!ParseLine(at, stop, line)) return Found(child, AuditFinding::kUnreadable, -1, line, 0);
    if (!CheckLine(child, line, known)) return false;
    at = stop + 1;
  }
  for (std::size_t i = 0; i < child.data.placed.size(); ++i) {
    const Placed& placed = child.data.placed[i];
    if (placed.mount != 0 && !placed.seen) return Found(child, AuditFinding::kMissing, static_cast<int>(i), Line{}, 0);
  }
  return true;
}

}  // namespace nucleus::process
