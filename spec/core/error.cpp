#include "spec/core/error.hpp"

#include <cstring>

#include "spec/core/text.hpp"

namespace nucleus {

namespace {

ErrorCode CodeOfErrno(int err) {
  switch (err) {
    case EPERM:
    case EACCES:
    case EROFS:
      return ErrorCode::kPermission;
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kExists;
    case EBUSY:
    case EADDRINUSE:
      return ErrorCode::kConflict;
    case ENOSYS:
    case EOPNOTSUPP:
      return ErrorCode::kUnsupported;
    case ETIMEDOUT:
      return ErrorCode::kTimeout;
    default:
      return ErrorCode::kSystem;
  }
}

}  // namespace

Error::Error() = default;
Error::Error(const Error& other) = default;
Error::Error(Error&& other) noexcept = default;
Error& Error::operator=(const Error& other) = default;
Error& Error::operator=(Error&& other) noexcept = default;
Error::~Error() = default;

Error Error::Sys(std::string_view operation, std::string_view subject, int err) {
  Error e;
  e.sys_errno = err;
  e.code = CodeOfErrno(err);
  e.operation = operation;
  e.subject = subject;
  return e;
}

Error Error::Of(ErrorCode code, std::string_view operation, std::string_view subject, std::string_view cause) {
  Error e;
  e.code = code;
  e.operation = operation;
  e.subject = subject;
  e.cause = cause;
  return e;
}

Error Error::Invalid(std::string_view subject, std::string_view cause) {
  return Of(ErrorCode::kInvalid, "", subject, cause);
}

Error Error::In(std::string_view where) && {
  if (!where.empty() && (trail.empty() || trail.back() != where)) trail.emplace_back(where);
  return std::move(*this);
}

Error Error::Hint(std::string_view what_to_do) && {
  hint = what_to_do;
  return std::move(*this);
}

std::string Error::Message() const {
  std::string text = operation;
  if (!subject.empty()) {
    if (!text.empty()) text += ' ';
    text += Printable(subject);  // a file's name may have a newline in it, and then look like a message of its own
  }
  if (!cause.empty()) {
    if (!text.empty()) text += ": ";
    text += cause;
  }
  if (sys_errno != 0) {
    if (!text.empty()) text += ": ";
    text += std::strerror(sys_errno);
    text += " (" + ErrnoName(sys_errno) + ")";
  }
  for (const auto& where : trail) text += " <- " + Printable(where);
  return text;
}

std::string ErrnoName(int err) {
  if (const char* name = strerrorname_np(err)) return name;
  return "errno " + std::to_string(err);
}

}  // namespace nucleus
