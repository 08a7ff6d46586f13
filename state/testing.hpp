// For tests of the store: directories of their own, children that do something and end.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "state/store.hpp"

namespace nucleus::state {

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string name = "/dev/shm/nucleus-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    base_ = name;
    directories_ = {base_ + "/state", base_ + "/runtime"};
  }
  ~StoreTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
  }

  Store Writer() {
    auto store = Store::Open(directories_, Store::Access::kWrite);
    if (!store) {
      ADD_FAILURE() << store.error().Message();
      std::abort();
    }
    return *std::move(store);
  }
  Result<Store> Reader() { return Store::Open(directories_, Store::Access::kRead); }

  std::string base_;
  Directories directories_;
};

// Runs `body` in a child and returns the pid; the child exits with what body returns.
inline pid_t InChild(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  return pid;
}

inline int StatusOf(pid_t pid) {
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return status;
}

// A Result as an assertion: the message of its error is what one wants to see.
template <class T>
::testing::AssertionResult IsOk(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().Message();
}
#define EXPECT_OK(...) EXPECT_TRUE(IsOk(__VA_ARGS__))
#define ASSERT_OK(...) ASSERT_TRUE(IsOk(__VA_ARGS__))

}  // namespace nucleus::state
