#include "state/parts/restore_order.hpp"

#include <gtest/gtest.h>

#include "state/parts/oci_state.hpp"

namespace nucleus {
namespace {

TEST(RestoreOrder, ReadsBackAsItWasWritten) {
  const RestoreOrder order{.images = "/var/lib/nucleus/restore/a.1",
                           .output = "pipe:[12]",
                           .error = "",
                           .mounts = {{"/etc/hosts", "m0"}, {"/a place\nwith lines", "m1"}}};
  const auto read = DecodeRestoreOrder(Encode(order));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, order);
}

TEST(RestoreOrder, WhatIsCutOffOrOfAnotherFormatIsNone) {
  const std::string whole = Encode({.images = "/a", .output = "", .error = "", .mounts = {{"/b", "m0"}}});
  EXPECT_TRUE(DecodeRestoreOrder(whole));
  for (const auto& text : {std::string(), whole.substr(0, whole.size() - 1), whole.substr(0, whole.size() - 3),
                           "x" + whole, Encode({.images = "relative", .output = "", .error = ""})})
    EXPECT_FALSE(DecodeRestoreOrder(text));
}

TEST(OciState, IsOneLineOfJsonWhateverIsInIt) {
  OciState state{.id = "a1", .status = "running", .pid = 7, .bundle = "/run/a \"b\"\n", .annotations = {}};
  state.annotations = {{"nucleus.name", "a"}};
  EXPECT_EQ(Encode(state), R"({"ociVersion":"1.2.0","id":"a1","status":"running","pid":7,"bundle":"/run/a \"b\"\\x0a",)"
                           R"("annotations":{"nucleus.name":"a"}})");
  state.pid = 0;
  EXPECT_EQ(Encode(state).find("pid"), std::string::npos);
}

}  // namespace
}  // namespace nucleus
