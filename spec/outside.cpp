#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <memory>
#include <optional>

#include "spec/load.hpp"

namespace nucleus::spec {

namespace {

constexpr std::size_t kMostBytes = 16 << 20;

struct CloseFile {
  void operator()(FILE* file) const { std::fclose(file); }
};

// The descriptor that the name of a stream means.
std::optional<int> StreamOf(std::string_view path) {
  if (path == "-" || path == "/dev/stdin") return STDIN_FILENO;
  for (const std::string_view prefix : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(prefix)) continue;
    const std::string_view digits = path.substr(prefix.size());
    int number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size() && number >= 0) return number;
  }
  return std::nullopt;
}

Result<std::string> ReadFile(const std::string& path) {
  const auto stream = StreamOf(path);
  // Not blocking: a FIFO in the place of a file must not hang us.
  const int fd =
      stream ? ::fcntl(*stream, F_DUPFD_CLOEXEC, 0) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FailSys("read", path);
  const std::unique_ptr<FILE, CloseFile> file(::fdopen(fd, "r"));
  struct stat st{};
  if (::fstat(fd, &st) != 0) return FailSys("read", path);
  if (!stream && !S_ISREG(st.st_mode)) return Fail(ErrorCode::kInvalid, "read", path, "not a regular file");
  std::string text;
  std::array<char, 1 << 16> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    text.append(buffer.data(), size);
    if (text.size() > kMostBytes) return Fail(ErrorCode::kInvalid, "read", path, "larger than 16M");
  }
  if (std::ferror(file.get()) != 0) return FailSys("read", path);
  return text;
}

Outside::PathKind KindOf(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return Outside::PathKind::kAbsent;
  if (S_ISREG(st.st_mode)) return Outside::PathKind::kFile;
  return S_ISDIR(st.st_mode) ? Outside::PathKind::kDirectory : Outside::PathKind::kOther;
}

Result<std::vector<std::string>> ListDirectory(const std::string& path) {
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(::opendir(path.c_str()));
  if (!open) return FailSys("list", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(open.get())) names.emplace_back(entry->d_name);
  return names;
}

std::optional<std::string> Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace

bool IsStream(std::string_view path) {
  return StreamOf(path).has_value();
}

Outside Outside::Real() {
  Outside outside;
  outside.read_file = ReadFile;
  outside.variable = Variable;
  outside.path_kind = KindOf;
  outside.host_routes = [] { return std::vector<Ipv4Net>(); };
  outside.list_directory = ListDirectory;
  outside.file_size = [](const std::string& path) -> std::uint64_t {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) ? static_cast<std::uint64_t>(st.st_size) : 0;
  };
  std::array<char, PATH_MAX> directory{};
  // One that was removed has no name: what is relative to it is not there, and must not be taken for a file of "/".
  const bool named = ::getcwd(directory.data(), directory.size()) != nullptr;
  outside.working_directory = named ? directory.data() : "/proc/self/cwd";
  return outside;
}

}  // namespace nucleus::spec
