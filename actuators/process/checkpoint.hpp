// Has CRIU write the processes of a container down. What cannot be made again as it was is refused before anything is
// touched: whatever is restored is held by all that its launch says (docs/decisions/0028).
#pragma once

#include <string>
#include <string_view>

#include "actuators/process/running.hpp"
#include "state/parts/restore_order.hpp"

namespace nucleus::process {

// kUnsupported, with what stands in the way.
Result<> CheckCanCheckpoint(const RunningContainer& container, const std::string& subject);

inline constexpr std::string_view kDumpLog = "dump.log";

// images: an empty directory, which criu has by this descriptor. What restoring takes, all but where the images will
// be. Afterwards the processes go on, or stand still (leave_running: false) until they are killed or LetGoOn(); also
// where it fails they may stand still.
Result<RestoreOrder> WriteImages(const RunningContainer& container, const std::string& subject, const sys::Fd& images,
                                 bool leave_running);

// What stands still goes on: no checkpoint was made of it after all.
void LetGoOn(const RunningContainer& container);

}  // namespace nucleus::process
