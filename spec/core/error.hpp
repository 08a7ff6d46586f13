// Errors as values.
//
// An Error says what was tried (operation), on what (subject), what came of it (a cause in words, or an errno of the
// kernel), on the way from where (trail, innermost first) and, where there is one, what to do about it (hint):
//
//     mount /srv/db (ro,nosuid): Operation not permitted (EPERM) <- service.web/mounts
//
// Libraries return Result<T>; they never print and never exit. An Error owns all its text and may cross threads.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nucleus {

enum class ErrorCode {
  kInvalid,      // the input is wrong; its place is in the text
  kUnsupported,  // understood, but this machine or this version cannot do it
  kNotFound,
  kExists,
  kConflict,    // somebody else has it: a port, a name, an address
  kPermission,  // refused by the kernel or by file modes
  kLocked,      // another nucleus is at work on it
  kStale,       // what the decision rested on has changed
  kTimeout,
  kInterrupted,  // somebody asked to stop
  kUnhealthy,    // it runs, but not as it should
  kSystem,       // a system call failed otherwise; see sys_errno
  kCorrupt,      // data of our own does not read back
  kInternal,     // a broken promise between our own parts
};

struct Error {
  // Not inline: they would be a third of all code, in paths that are hardly ever taken.
  Error();
  Error(const Error& other);
  Error(Error&& other) noexcept;
  Error& operator=(const Error& other);
  Error& operator=(Error&& other) noexcept;
  ~Error();

  ErrorCode code = ErrorCode::kInternal;
  std::string operation;
  std::string subject;
  std::string cause;  // empty where sys_errno says it all
  int sys_errno = 0;
  std::vector<std::string> trail;
  std::string hint;

  // The failure of a system call. Reads errno before anything else can change it.
  static Error Sys(std::string_view operation, std::string_view subject, int err = errno);
  static Error Of(ErrorCode code, std::string_view operation, std::string_view subject, std::string_view cause);
  static Error Invalid(std::string_view subject, std::string_view cause);

  // Adds a step of the way out, if there is one to name. For use on a temporary: `return
  // std::unexpected(std::move(e).In("service.web"))`.
  [[nodiscard]] Error In(std::string_view where) &&;
  [[nodiscard]] Error Hint(std::string_view what_to_do) &&;

  // One line without the hint, as above.
  [[nodiscard]] std::string Message() const;
};

template <class T = void>
using Result = std::expected<T, Error>;

// "EPERM" for EPERM; "errno 4711" for what has no name.
std::string ErrnoName(int err);

inline std::unexpected<Error> Fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}
inline std::unexpected<Error> Fail(ErrorCode code, std::string_view operation, std::string_view subject,
                                   std::string_view cause) {
  return Fail(Error::Of(code, operation, subject, cause));
}
inline std::unexpected<Error> FailSys(std::string_view operation, std::string_view subject, int err = errno) {
  return Fail(Error::Sys(operation, subject, err));
}

}  // namespace nucleus

// TRY(expression): the value of a Result, or return its error from this function. TRY_IN adds a step to the trail.
// Statement expressions are an extension of both GCC and Clang.
#define TRY(...)                                                                       \
  __extension__({                                                                      \
    auto&& nucleus_try_result = (__VA_ARGS__);                                         \
    if (!nucleus_try_result) [[unlikely]]                                              \
      return std::unexpected<::nucleus::Error>(std::move(nucleus_try_result).error()); \
    *std::move(nucleus_try_result);                                                    \
  })
#define TRY_IN(where, ...)                                                                       \
  __extension__({                                                                                \
    auto&& nucleus_try_result = (__VA_ARGS__);                                                   \
    if (!nucleus_try_result) [[unlikely]]                                                        \
      return std::unexpected<::nucleus::Error>(std::move(nucleus_try_result).error().In(where)); \
    *std::move(nucleus_try_result);                                                              \
  })
