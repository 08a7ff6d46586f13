// The canonical form: it reads back, and two spellings of one meaning have one digest.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::Files;

// ---- topologies of every kind ----

template <class T>
rc::Gen<std::optional<T>> Maybe(rc::Gen<T> gen) {
  return rc::gen::oneOf(rc::gen::just(std::optional<T>()),
                        rc::gen::map(std::move(gen), [](T value) { return std::optional<T>(std::move(value)); }));
}
rc::Gen<std::string> Word() {
  return rc::gen::element<std::string>("a", "b", "web-1", "x.y", "A_b", "postgres", "0");
}
rc::Gen<std::string> Text() {
  return rc::gen::element<std::string>("", "x", "two words", "quote\"", "back\\slash", "ünï", "$HOME", "a=b",
                                       "line\nbreak", "\x01");
}
rc::Gen<std::string> Path() {
  return rc::gen::element<std::string>("/srv/a", "/srv/b/c", "/opt/x y", "/ä");
}
// Of few words: as often as one comes up again, there is one less.
std::set<std::string> SomeWords() {
  const auto words = *rc::gen::container<std::vector<std::string>>(Word());
  return {words.begin(), words.end()};
}
std::map<std::string, std::string> SomeTexts(rc::Gen<std::string> names) {
  const auto pairs =
      *rc::gen::container<std::vector<std::pair<std::string, std::string>>>(rc::gen::pair(std::move(names), Text()));
  return {pairs.begin(), pairs.end()};
}
Owner AnOwner() {
  Owner owner{*rc::gen::element<std::string>("", "0", "70", "postgres"), ""};
  if (!owner.user.empty()) owner.group = *rc::gen::element<std::string>("", "0", "users");
  return owner;
}

IpAddress AnAddress() {
  if (*rc::gen::arbitrary<bool>()) return Ipv4{*rc::gen::arbitrary<std::uint32_t>()};
  Ipv6 address{{0xfd, 0x00}};
  address.bytes[2] = *rc::gen::arbitrary<std::uint8_t>();
  address.bytes[15] = *rc::gen::arbitrary<std::uint8_t>();
  return *rc::gen::arbitrary<bool>() ? address : Ipv6{};
}

PortForward APort() {
  const bool named = *rc::gen::arbitrary<bool>();
  return {named ? std::optional(AnAddress()) : std::nullopt, *rc::gen::inRange<std::uint16_t>(1, 65535),
          *rc::gen::inRange<std::uint16_t>(1, 65535), *rc::gen::element(Protocol::kTcp, Protocol::kUdp)};
}

IoLimit AnIoLimit() {
  IoLimit limit;
  limit.device = *rc::gen::element<std::string>("8:0", "/dev/sda");
  limit.read_bps = *rc::gen::inRange<Bytes>(1, INT64_MAX);
  limit.write_iops = *Maybe(rc::gen::inRange<std::uint64_t>(1, UINT64_MAX));
  return limit;
}

HealthCheck AHealthCheck() {
  HealthCheck health;
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      health.probe = CommandProbe{{"/bin/sh", "-c", *Text()}};
      break;
    case 1:
      health.probe = TcpProbe{*rc::gen::inRange<std::uint16_t>(1, 65535)};
      break;
    default:
      health.probe =
          HttpProbe{*rc::gen::inRange<std::uint16_t>(1, 65535), *rc::gen::element<std::string>("/", "/health?a=b")};
  }
  health.interval = Duration(*rc::gen::inRange(0, 100'000'000));
  health.timeout = Duration(*rc::gen::inRange(0, 100'000));
  health.start_period = Duration(*rc::gen::inRange(0, 100'000));
  health.retries = *rc::gen::inRange(1U, 1000U);
  health.on_unhealthy = *rc::gen::element(OnUnhealthy::kRestart, OnUnhealthy::kStop, OnUnhealthy::kNone);
  return health;
}

void AddLimits(Service& service) {
  const auto bytes = rc::gen::inRange<Bytes>(0, INT64_MAX);
  service.memory = *Maybe(bytes);
  service.memory_high = *Maybe(bytes);
  service.memory_swap = *Maybe(bytes);
  service.memlock = *Maybe(bytes);
  service.milli_cpus = *Maybe(rc::gen::inRange(1U, 8'192'000U));
  service.cpu_weight = *Maybe(rc::gen::inRange(1U, 10000U));
  service.pids = *Maybe(rc::gen::inRange<std::uint64_t>(1, 4194304));
  if (*rc::gen::arbitrary<bool>()) service.io_limits = {AnIoLimit()};
}

void AddMounts(Service& service, const Topology& topology) {
  for (const auto& [name, volume] : topology.volumes) {
    if (*rc::gen::arbitrary<bool>())
      service.volumes.push_back({name, "", "/mnt/" + name, *rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()});
  }
  if (*rc::gen::arbitrary<bool>())
    service.volumes.push_back({"", *Path(), "/host", *rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()});
  std::ranges::sort(service.volumes, {}, &VolumeMount::destination);  // as Normalize has it
  if (*rc::gen::arbitrary<bool>()) service.tmpfs.push_back({"/run", *rc::gen::inRange<Bytes>(0, INT64_MAX)});
}

Service AService(const std::string& name, const Topology& topology) {
  Service service;
  service.name = name;
  service.type = *rc::gen::element(ServiceType::kService, ServiceType::kJob);
  service.mode = *rc::gen::element(ServiceMode::kAgent, ServiceMode::kProduction);
  service.rootfs = *rc::gen::oneOf(rc::gen::just(std::string()), Path());
  service.command = {*Word()};
  service.command.push_back(*Text());
  service.environment = SomeTexts(Word());
  std::erase_if(service.environment, [](const auto& pair) { return pair.first == "0"; });
  service.labels = SomeTexts(Text());
  service.env_files = *rc::gen::container<std::vector<std::string>>(Path());
  service.workdir = *rc::gen::oneOf(rc::gen::just(std::string()), Path());
  service.hostname = *rc::gen::element<std::string>("", "db", "db.local");
  service.user = AnOwner();
  if (*rc::gen::arbitrary<bool>()) service.additional_groups = {"5", "audio"};
  if (*rc::gen::arbitrary<bool>()) service.hooks.poststop = {{.path = *Path(), .timeout = Duration(500)}};
  AddLimits(service);
  AddMounts(service, topology);
  for (const auto& [network_name, network] : topology.networks) {
    if (*rc::gen::arbitrary<bool>()) service.networks.push_back(network_name);
  }
  const int ports = *rc::gen::inRange(0, 3);
  for (int i = 0; i < ports; ++i) service.port_forwards.push_back(APort());
  std::ranges::sort(service.port_forwards);
  service.port_forwards.erase(std::unique(service.port_forwards.begin(), service.port_forwards.end()),
                              service.port_forwards.end());
  if (*rc::gen::arbitrary<bool>()) service.health = AHealthCheck();
  service.sd_notify = *rc::gen::arbitrary<bool>();
  service.readiness_tcp = *Maybe(rc::gen::inRange<std::uint16_t>(1, 65535));
  if (*rc::gen::arbitrary<bool>()) service.readiness_exec = {"/bin/sh", "-c", *Text()};
  service.restart = *rc::gen::element(RestartPolicy::kNo, RestartPolicy::kOnFailure, RestartPolicy::kAlways);
  for (const auto& [other, unused] : topology.services) {
    if (*rc::gen::arbitrary<bool>())
      service.depends_on.push_back({other, Condition::kStarted, *rc::gen::arbitrary<bool>()});
  }
  service.protect = *rc::gen::arbitrary<bool>();
  service.init = *rc::gen::arbitrary<bool>();
  service.tty = *rc::gen::arbitrary<bool>();
  service.stop_signal = *rc::gen::element(1, 2, 15, 34, 64);
  service.reload_signal = *rc::gen::element(0, 1, 40);
  service.stop_timeout = Duration(*rc::gen::inRange(0, 10'000'000));
  if (*rc::gen::arbitrary<bool>()) service.inputs["volumes:/host"] = Sha256::Of(*Text());
  return service;
}

Topology ATopology() {
  Topology topology;
  topology.name = *rc::gen::element<std::string>("shop", "a", "x-1");
  for (const auto& name : SomeWords()) {
    Network network{
        .name = name, .subnet = std::nullopt, .gateway = std::nullopt, .subnet6 = std::nullopt, .places = {}};
    if (*rc::gen::arbitrary<bool>())
      network.subnet =
          Ipv4Net{{*rc::gen::inRange<std::uint32_t>(0, 255) << 24}, *rc::gen::inRange<std::uint8_t>(8, 30)};
    network.gateway =
        *Maybe(rc::gen::map(rc::gen::arbitrary<std::uint32_t>(), [](std::uint32_t v) { return Ipv4{v}; }));
    if (*rc::gen::arbitrary<bool>())
      network.subnet6 =
          Ipv6Net{{{0xfd, *rc::gen::arbitrary<std::uint8_t>()}}, *rc::gen::inRange<std::uint8_t>(16, 112)};
    network.internal = *rc::gen::arbitrary<bool>();
    network.mtu = *rc::gen::element(0U, 576U, 9000U);
    topology.networks.emplace(name, network);
  }
  for (const auto& name : SomeWords()) {
    Volume volume{.name = name, .path = *Path(), .owner = AnOwner(), .places = {}};
    volume.type = *rc::gen::element(VolumeType::kPersistent, VolumeType::kEphemeral);
    volume.mode = *rc::gen::inRange<std::uint32_t>(0, 010000);
    volume.size = *rc::gen::inRange<Bytes>(0, INT64_MAX);
    volume.protect = *rc::gen::arbitrary<bool>();
    topology.volumes.emplace(name, volume);
  }
  for (const auto& name : SomeWords()) topology.services.emplace(name, AService(name, topology));
  return topology;
}

// ---- reading back ----

TEST(Canonical, WhatWasWrittenReadsBack) {
  EXPECT_TRUE(rc::check("FromJson(ToJson(t)) is t, of every topology", [] {
    const auto topology = ATopology();
    const auto json = ToJson(topology);
    const auto back = FromJson(json);
    if (!back) RC_FAIL(back.error().Message() + "\n" + json);
    RC_ASSERT(ToJson(*back) == json);
    RC_ASSERT(back->services.size() == topology.services.size());
    for (const auto& [name, service] : topology.services) {
      const auto& other = back->services.at(name);
      RC_ASSERT(CanonicalFields(other) == CanonicalFields(service));
      // A field is written on a way of its own, in the same words.
      const auto whole = ToJson(service);
      for (const auto& [key, value] : CanonicalFields(service)) {
        if (key.find('#') == std::string::npos) RC_ASSERT(whole.find('"' + key + "\":" + value) != std::string::npos);
      }
      RC_ASSERT(other.command == service.command);
      RC_ASSERT(other.environment == service.environment);
      RC_ASSERT(other.env_files == service.env_files);
      RC_ASSERT(other.memory == service.memory);
      RC_ASSERT(other.health == service.health);
      RC_ASSERT(other.volumes == service.volumes);
      RC_ASSERT(other.io_limits == service.io_limits);
      RC_ASSERT(other.depends_on == service.depends_on);
      RC_ASSERT(other.port_forwards == service.port_forwards);
      RC_ASSERT(other.restart == service.restart);
      RC_ASSERT(other.inputs == service.inputs);
    }
    for (const auto& [name, volume] : topology.volumes) {
      RC_ASSERT(back->volumes.at(name).owner == volume.owner);
      RC_ASSERT(back->volumes.at(name).mode == volume.mode);
      RC_ASSERT(back->volumes.at(name).size == volume.size);
    }
    for (const auto& [name, network] : topology.networks) RC_ASSERT(back->networks.at(name).subnet == network.subnet);
  }));
}

TEST(Canonical, ResourcesReadBackAlone) {
  EXPECT_TRUE(rc::check("of every resource", [] {
    const auto topology = ATopology();
    for (const auto& [name, network] : topology.networks)
      RC_ASSERT(ToJson(NetworkFromJson(ToJson(network)).value()) == ToJson(network));
    for (const auto& [name, volume] : topology.volumes)
      RC_ASSERT(ToJson(VolumeFromJson(ToJson(volume)).value()) == ToJson(volume));
    for (const auto& [name, service] : topology.services)
      RC_ASSERT(ToJson(ServiceFromJson(ToJson(service)).value()) == ToJson(service));
  }));
}

// ---- documents that are wrong ----

class Corrupt : public ::testing::TestWithParam<const char*> {};
TEST_P(Corrupt, DocumentsAreRefused) {
  const auto read = FromJson(GetParam());
  ASSERT_FALSE(read) << GetParam();
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt) << read.error().Message();
}
INSTANTIATE_TEST_SUITE_P(
    Canonical, Corrupt,
    ::testing::Values("", "{", "[]", "{}", "null", R"({"name":"../x"})", R"({"name":"x","name":"x"})",
                      R"({"name":"x","zz":1})", R"({"name":"x","services":[]})",
                      R"({"name":"x","services":{"a b":{}}})", R"({"name":"x","services":{"a":{"zz":1}}})",
                      R"({"name":"x","services":{"a":{"detach":false}}})",       // no effect: not of ours
                      R"({"name":"x","services":{"a":{"rootfs":"relative"}}})",  // relative to what?
                      R"({"name":"x","services":{"a":{"volumes":["./x:/y"]}}})",
                      R"({"name":"x","services":{"a":{"volumes":["v:/y"]}}})",
                      R"({"name":"x","services":{"a":{"networks":["n"]}}})",
                      R"({"name":"x","services":{"a":{"depends_on":["b"]}}})",
                      R"({"name":"x","services":{"a":{"depends_on":["a"]}}})",
                      R"({"name":"x","services":{"a":{"depends_on":["b"]},"b":{"depends_on":["a"]}}})",
                      R"({"name":"x","services":{"a":{"inputs":{"env_file":"12"}}}})",
                      R"({"name":"x","services":{"a":{"command":["a\u0000"]}}})",
                      R"({"name":"x","services":{"a":{"pids":1e400}}})",
                      R"({"name":"x","services":{"a":{"pids":99999999999999999999}}})"));

TEST(Canonical, DepthOfADocumentIsBounded) {
  for (const std::string_view open : {"[", R"({"a":)"}) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += open;
    EXPECT_EQ(FromJson(text).error().code, ErrorCode::kCorrupt);
  }
}

// ---- meaning, not spelling ----

Digest DigestOf(const Files& files, std::string_view lines) {
  const auto loaded = files.Load(testing::Service(lines));
  if (!loaded.ok()) ADD_FAILURE() << Files::Lines(loaded) << lines;
  return loaded.ok() ? spec::DigestOf(CanonicalFields(loaded.topology->services.at("a"))) : Digest{};
}

// Each in several spellings, and one that means something else.
struct Spelling {
  std::vector<const char*> same;
  const char* other;
};
const std::vector<Spelling> kSpellings{
    {{"memory = '1G'", "memory = '1024M'", "memory = 1073741824", "memory = '1GiB'", "memory = '${G}'"},
     "memory = '2G'"},
    {{"cpus = 2", "cpus = 2.0", "cpus = '2.000'"}, "cpus = 2.5"},
    {{"stop_timeout = 90", "stop_timeout = '1m30s'", "stop_timeout = '90000ms'"}, "stop_timeout = 91"},
    {{"restart = 'on-failure'", "", "restart = '${NONE:-on-failure}'"}, "restart = 'always'"},
    {{"memory_swap = 0", "swap = '0'"}, "swap = 1"},
    {{"networks = ['n']\nport_forwards = ['2:2', '1:1']", "networks = ['n']\npublish = ['1-2:1-2']",
      "networks = ['n']\nport_forwards = ['1:1/tcp', '2:2/tcp']"},
     "networks = ['n']\nport_forwards = ['2:2']"},
    {{"volumes = ['v:/v', '/srv/x:/x']", "volume = ['/srv/../srv/x/:/x', 'v:/v/:rw']"},
     "volumes = ['v:/v:ro', '/srv/x:/x']"},
    {{"environment = { A = '1', B = '2' }", "environment = { B = 2, A = 1 }", "env = ['B=2', 'A=1']"}, "env = ['A=1']"},
    {{"additional_groups = ['b', 'a']", "additional_group = ['a', 'b', 'a']"}, "additional_groups = ['a']"},
    {{"user = 70", "user = '70'", "user = '070'"}, "user = 71"},
    {{"stop_signal = 'INT'", "stop_signal = 2", "stop_signal = 'sigint'"}, "stop_signal = 'HUP'"},
    {{"health_check = 'x'\nhealth_interval = 30", "health_check = ['/bin/sh', '-c', 'x']"}, "health_check = ['x']"},
    {{"io_limits = [{ device = '8:0', read_bps = '1M' }]", "io_limit = ['8:0 rbps=1048576']"},
     "io_limit = ['8:0 wbps=1M']"},
    {{"rootfs = '/srv/root'", "rootfs = '../srv/./root/'"}, "rootfs = '/srv/other'"},
    {{"network = 'none'", "", "runtime = 'native'", "trust_level = 'trusted'", "secrets = []"}, "init = true"},
};

TEST(Digest, IsOverMeaning) {
  Files files;
  files.variables["G"] = "1G";
  for (const auto& [same, other] : kSpellings) {
    const auto expected = DigestOf(files, same.front());
    for (const auto* lines : same) EXPECT_EQ(DigestOf(files, lines), expected) << lines;
    EXPECT_NE(DigestOf(files, other), expected) << other;
  }
}

TEST(Digest, TheOrderOfKeysAndHowTheyAreCombinedIsSpelling) {
  const Files files;
  EXPECT_TRUE(rc::check("a service of many keys, each in a random spelling, in random order", [&] {
    std::vector<std::string> plain, varied;
    Files world;
    world.variables["G"] = "1G";
    const auto drawn = *rc::gen::container<std::vector<std::size_t>>(
        rc::gen::element<std::size_t>(0, 1, 2, 4, 7, 8, 9, 10, 11, 12, 13));  // those that go together
    const std::set<std::size_t> chosen(drawn.begin(), drawn.end());
    for (const auto i : chosen) {
      plain.emplace_back(kSpellings[i].same.front());
      varied.emplace_back(kSpellings[i].same[*rc::gen::inRange<std::size_t>(0, kSpellings[i].same.size())]);
    }
    const auto joined = [](const std::vector<std::string>& lines) {
      std::string text;
      for (const auto& line : lines) text += line + "\n";
      return text;
    };
    // An order of positions, by random keys.
    std::vector<std::pair<int, std::string>> shuffled;
    for (auto& lines : varied) shuffled.emplace_back(*rc::gen::arbitrary<int>(), std::move(lines));
    std::ranges::sort(shuffled);
    std::vector<std::string> reordered;
    for (auto& [key, lines] : shuffled) reordered.push_back(std::move(lines));
    RC_ASSERT(DigestOf(world, joined(plain)) == DigestOf(world, joined(reordered)));
  }));
}

TEST(Digest, PlacesTakeNoPart) {
  const Files files;
  EXPECT_EQ(DigestOf(files, "pids = 5"), DigestOf(files, "\n\n   pids   =   5   # said elsewhere"));
}

TEST(Digest, FieldsDoNotRunIntoEachOther) {
  EXPECT_NE(spec::DigestOf({{"a", "bc"}}), spec::DigestOf({{"ab", "c"}}));
  EXPECT_NE(spec::DigestOf({{"a", "b"}, {"c", "d"}}), spec::DigestOf({{"a", "bcd"}}));
}

}  // namespace
}  // namespace nucleus::spec
