// What the parts of Store share.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "state/sqlite.hpp"
#include "state/store.hpp"

namespace nucleus::state {

struct Store::Impl {
  Impl(Store::Access wanted, Database applied_db, Database observed_db)
      : access(wanted), applied(std::move(applied_db)), observed(std::move(observed_db)) {}

  // Every public call holds it: a Database is for one thread at a time.
  std::mutex mutex;
  Store::Access access;
  Database applied;
  Database observed;
  std::vector<std::string> warnings;

  // kInternal where the store was opened for reading.
  [[nodiscard]] Result<> MayWrite() const;
};

std::int64_t NowMs();

}  // namespace nucleus::state
