#include "cli/event_text.hpp"

#include <gtest/gtest.h>

namespace nucleus::cli {
namespace {

TEST(EventText, ReadsWhatASupervisorWrites) {
  Event event;
  ASSERT_TRUE(ParseEvent("1000 o exit code=137 reason=oom", "shop/web", event));
  EXPECT_EQ(event, (Event{1000, "shop/web", "exit", {{"code", "137"}, {"reason", "oom"}}}));
  EXPECT_EQ(EventJson(event),
            "{\"format_version\":1,\"type\":\"event\",\"time\":\"1970-01-01T00:00:01.000Z\",\"container\":\"shop/web\","
            "\"event\":\"exit\",\"code\":137,\"reason\":\"oom\"}\n");
  ASSERT_TRUE(ParseEvent("1000 o fail code=127 message=a b=c d", "x", event));
  EXPECT_EQ(event.details.back(), (std::pair<std::string, std::string>{"message", "a b=c d"}));
  EXPECT_TRUE(EventText(event).ends_with("x  fail code=127 message=a b=c d\n"));
}

TEST(EventText, PassesOverWhatIsNone) {
  Event event;
  for (const char* line : {"", "1000 o ", "1000 start", "x o start", "1000 o start pid"})
    EXPECT_FALSE(ParseEvent(line, "x", event)) << line;
}

}  // namespace
}  // namespace nucleus::cli
