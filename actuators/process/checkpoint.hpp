// Has CRIU write the processes of a container down. What cannot be made again as it was is refused before anything is
// touched: whatever is restored is held by all that its launch says (docs/decisions/0028).
#pragma once

#include <string>
#include <string_view>

#include "actuators/process/criu_keeper.hpp"
#include "actuators/process/running.hpp"
#include "state/parts/restore_order.hpp"

namespace nucleus::process {

// kUnsupported, with what stands in the way.
Result<> CheckCanCheckpoint(const RunningContainer& container, const std::string& subject);

inline constexpr std::string_view kDumpLog = "dump.log";

struct Images {
  RestoreOrder order;  // what restoring takes, all but where the images will be
  CriuKeeper keeper;
};
// images: an empty directory, which criu has by this descriptor. Afterwards the processes go on, or stand still
// (leave_running: false) until they are killed, or the keeper is not there any more. Where it fails they go on;
// kInterrupted: a signal that is held back ended it.
Result<Images> WriteImages(const RunningContainer& container, const std::string& subject, const sys::Fd& images,
                           bool leave_running);

}  // namespace nucleus::process
