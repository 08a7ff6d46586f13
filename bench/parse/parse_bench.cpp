// Times every parser of outside data over a mebibyte of each of the shapes that cost it most: the best of three, in
// milliseconds, and whether it was taken or refused.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/netns/firewall_listing.hpp"
#include "actuators/sys/accounts.hpp"
#include "actuators/sys/mountinfo.hpp"
#include "reconcile/saved_plan.hpp"
#include "spec/core/heap.hpp"
#include "spec/load.hpp"
#include "state/parts/launch.hpp"

namespace nucleus {
namespace {

constexpr std::size_t kSize = std::size_t{1} << 20;

// head, then each(0), each(1), ... as far as a mebibyte goes, then tail.
std::string Filled(std::string head, const std::function<std::string(int)>& each, std::string_view tail = "") {
  for (int i = 0;; ++i) {
    const std::string next = each(i);
    if (head.size() + next.size() + tail.size() > kSize) break;
    head += next;
  }
  return head.append(tail);
}
std::string Repeated(std::string head, std::string_view unit, std::string_view tail = "") {
  return Filled(std::move(head), [&](int) { return std::string(unit); }, tail);
}
std::string N(int i) {
  return std::to_string(i);
}

struct Shape {
  std::string name;
  std::string text;
};

struct Parser {
  std::string_view name;
  std::function<bool(const std::string&)> parse;  // whether it was taken
  std::vector<Shape> shapes;
};

bool LoadToml(const std::string& text) {
  spec::Outside outside = spec::Outside::Real();
  outside.read_file = [](const std::string& path) -> Result<std::string> { return FailSys("read", path, ENOENT); };
  outside.variable = [](const std::string&) { return std::optional<std::string>("value"); };
  return spec::LoadText(text, "bench.toml", outside).ok();
}

std::vector<Parser> Parsers() {
  const std::string head = "name = 'shop'\n[defaults]\nservice_mode = 'agent'\n";
  return {
      {"TOML",
       LoadToml,
       {{"services", Filled(head, [](int i) { return "[services.s" + N(i) + "]\ncommand = ['x']\nmemory = '64M'\n"; })},
        {"unknown keys", Filled(head + "[services.a]\n", [](int i) { return "key" + N(i) + " = 1\n"; })},
        {"environment", Filled(head + "[services.a.environment]\n", [](int i) { return "V" + N(i) + " = 'x'\n"; })},
        {"ports", Filled(
                      head + "[services.a]\nport_forwards = [\n",
                      [](int i) { return "'" + N(i % 65535 + 1) + ":80',\n"; }, "]\n")},
        {"variables", Repeated(head + "[services.a]\ncommand = ['", "${A}", "']\n")},
        {"brackets", Repeated(head + "x = ", "[")},
        {"nested tables", Repeated(head + "x", ".a", " = 1\n")},
        {"one string", Repeated(head + "x = '", "x", "'\n")},
        {"not TOML", Repeated("", "\x01")}}},
      {"saved plan",
       [](const std::string& text) { return reconcile::DecodeSavedPlan(text).has_value(); },
       {{"brackets", Repeated("", "[")},
        {"objects", Repeated("", "{\"a\":")},
        {"many members", Filled(
                             "{", [](int i) { return "\"k" + N(i) + "\":0,"; }, "\"z\":0}")}}},
      {"nft listing",
       [](const std::string& text) { return netns::ParseListing(text).has_value(); },
       {{"rules", Repeated("{\"nftables\":[", "{\"rule\":{\"chain\":\"c\",\"expr\":[{\"accept\":null}]}},", "{}]}")},
        {"brackets", Repeated("", "[")}}},
      {"mountinfo",
       [](const std::string& text) { return sys::ParseMountinfo(text).has_value(); },
       {{"lines", Filled("", [](int i) { return N(i) + " 1 0:1 / /m" + N(i) + " rw - tmpfs t rw\n"; })},
        {"optional fields", Repeated("1 1 0:1 / / rw ", "shared:1 ", "- tmpfs t rw\n")},
        {"escapes", Repeated("1 1 0:1 / /", "\\040", " rw - tmpfs t rw\n")}}},
      {"status",
       [](const std::string& text) { return DecodeStatus(text).has_value(); },
       {{"unknown keys", Filled("", [](int i) { return "k" + N(i) + "=v\n"; })}, {"empty lines", Repeated("", "\n")}}},
      {"launch",
       [](const std::string& text) { return DecodeLaunch(text).has_value(); },
       {{"zeros", std::string(kSize, '\0')}, {"one byte", std::string(kSize, 'a')}}},
      {"passwd",
       [](const std::string& text) { return !sys::ParsePasswd(text).empty(); },
       {{"users", Filled("", [](int i) { return "u" + N(i) + ":x:" + N(i) + ":1::/:/bin/sh\n"; })}}},
  };
}

int Run() {
  for (const auto& parser : Parsers()) {
    for (const auto& shape : parser.shapes) {
      double best = 1e9;
      bool taken = false;
      for (int round = 0; round < 3; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        taken = parser.parse(shape.text);
        best =
            std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
      }
      std::printf("%-14.*s%-18s%8.1f ms  %s\n", static_cast<int>(parser.name.size()), parser.name.data(),
                  shape.name.c_str(), best, taken ? "taken" : "refused");
    }
  }
  return 0;
}

}  // namespace
}  // namespace nucleus

int main() {
  nucleus::SetUpHeap();
  return nucleus::Run();
}
