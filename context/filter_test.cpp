#include "context/filter.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace nucleus::context {
namespace {

using Patterns = std::vector<std::string>;

ContextFilter Filter(const Patterns& include = {}, const Patterns& exclude = {}) {
  auto filter = ContextFilter::Make(include, exclude);
  if (!filter) throw std::runtime_error(filter.error().Message());
  return std::move(*filter);
}

TEST(ContextFilter, LeavesSecretsAndVersionControlOutAnywhere) {
  const ContextFilter filter = Filter();
  for (const char* path : {".env",
                           ".env.production",
                           ".env~",
                           "prod.env.bak",
                           "server.key.bak",
                           "server.pem~",
                           ".terraformrc",
                           "auth.json",
                           ".composer/auth.json",
                           "home/.config/composer/auth.json",
                           "home/.config/containers/auth.json",
                           "prod.env",
                           "a/b/.env",
                           "server.pem",
                           "SERVER.PEM",
                           "tls/site.key",
                           "id_rsa",
                           "id_rsa.pub",
                           "id_ed25519_work",
                           ".netrc",
                           ".npmrc",
                           "x/.pypirc",
                           ".docker/config.json",
                           "home/.docker/config.json",
                           "credentials",
                           "credentials.json",
                           "terraform.tfstate",
                           "terraform.tfstate.backup",
                           "key.p12",
                           ".git" /* of a worktree */,
                           ".git/config",
                           "deep/er/.git/HEAD",
                           ".aws/credentials",
                           ".bash_history"}) {
    EXPECT_TRUE(filter.LeftOut(path, false)) << path;
  }
  for (const char* path : {".git", "sub/.hg", ".ssh", ".gnupg", ".kube", ".terraform", "CVS", ".config/gcloud"}) {
    EXPECT_TRUE(filter.LeftOut(path, true)) << path;
  }
}

TEST(ContextFilter, KeepsTheRest) {
  const ContextFilter filter = Filter();
  for (const char* path :
       {"main.c", "a/b/c.txt", ".gitignore", ".github/workflows/ci.yml", "environment.py", "keys.md", "pem", "env",
        "docker/config.json", "config.json", ".docker/other.json", "credentials_test.go", "cvs", "monkey", "x.keys",
        ".yarnrc.yml", "locales/en/auth.json", "tests/fixtures/auth.json"}) {
    EXPECT_FALSE(filter.LeftOut(path, false)) << path;
  }
  EXPECT_FALSE(filter.LeftOut(".docker", true));
  EXPECT_FALSE(filter.LeftOut("src", true));
}

TEST(ContextFilter, EachOfTheListHasAReasonAndMatchesItsOwnName) {
  const ContextFilter filter = Filter();
  for (const LeftOutByDefault& item : ContextList()) {
    EXPECT_FALSE(item.why.empty());
    std::string name(item.pattern);
    EXPECT_TRUE(std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; })) << name;
    const bool top = name.starts_with('/');
    if (name.starts_with("**/")) name.erase(0, 3);
    if (top) name.erase(0, 1);
    std::ranges::replace(name, '*', 'x');
    const bool folder = name.ends_with('/');
    if (folder) name.pop_back();
    EXPECT_TRUE(filter.LeftOut(name, folder)) << name;
    EXPECT_NE(filter.LeftOut("some/where/" + name, folder), top) << name;
  }
}

TEST(ContextFilter, IncludeWinsOverTheListAndExcludeOverAll) {
  const ContextFilter filter = Filter({".env.example", "certs/"}, {"*.log", "certs/private", "/notes", "docs/*.md"});
  EXPECT_FALSE(filter.LeftOut("a/.env.example", false));
  EXPECT_TRUE(filter.LeftOut("a/.env", false));
  EXPECT_FALSE(filter.LeftOut("certs", true));
  EXPECT_FALSE(filter.LeftOut("certs/ca.pem", false));  // in a folder that is included
  EXPECT_TRUE(filter.LeftOut("certs/private", true));
  EXPECT_TRUE(filter.LeftOut("certs/private/ca.pem", false));
  EXPECT_TRUE(filter.LeftOut("a/b.log", false));
  EXPECT_TRUE(filter.LeftOut("notes", false));
  EXPECT_FALSE(filter.LeftOut("a/notes", false));
  EXPECT_TRUE(filter.LeftOut("docs/x.md", false));
  EXPECT_FALSE(filter.LeftOut("docs/a/x.md", false));
  EXPECT_FALSE(filter.LeftOut("B.LOG", false));  // only the list matches either case
}

TEST(ContextFilter, AnIncludeFromTheTopReachesIntoAFolderThatIsLeftOut) {
  const ContextFilter filter = Filter({".aws/config", "sub/.git/hooks/**"});
  EXPECT_FALSE(filter.LeftOut(".aws", true));  // to be passed through
  EXPECT_FALSE(filter.LeftOut(".aws/config", false));
  EXPECT_TRUE(filter.LeftOut(".aws/other", false));
  EXPECT_TRUE(filter.LeftOut(".aws/cli", true));
  EXPECT_TRUE(filter.LeftOut("b/.aws", true));
  EXPECT_FALSE(filter.LeftOut("sub/.git/hooks", true));
  EXPECT_FALSE(filter.LeftOut("sub/.git/hooks/a/b", false));
  EXPECT_TRUE(filter.LeftOut("sub/.git/config", false));
  // One without a folder does not: what is below is never looked at.
  const ContextFilter anywhere = Filter({"config"});
  EXPECT_TRUE(anywhere.LeftOut(".git", true));
  EXPECT_TRUE(anywhere.LeftOut(".git/config", false));
}

TEST(ContextFilter, Patterns) {
  const auto matches = [](const std::string& pattern, const std::string& path, bool directory = false) {
    return Filter({}, {pattern}).LeftOut(path, directory);
  };
  EXPECT_TRUE(matches("a*c", "x/abc"));
  EXPECT_FALSE(matches("a*c", "a/c"));
  EXPECT_TRUE(matches("?", "x"));
  EXPECT_TRUE(matches("[a-c]x", "bx"));
  EXPECT_FALSE(matches("[!a-c]x", "bx"));
  EXPECT_TRUE(matches("*", ".hidden"));
  EXPECT_TRUE(matches("\\*", "*"));
  EXPECT_FALSE(matches("\\*", "a"));
  EXPECT_TRUE(matches("\\!x", "!x"));
  EXPECT_TRUE(matches("build/", "a/build", true));
  EXPECT_FALSE(matches("build/", "a/build"));
  EXPECT_TRUE(matches("build/", "a/build/x"));
  EXPECT_TRUE(matches("**/x/y", "x/y"));
  EXPECT_TRUE(matches("**/x/y", "a/b/x/y"));
  EXPECT_TRUE(matches("a/**/z", "a/z"));
  EXPECT_TRUE(matches("a/**/z", "a/b/c/z"));
  EXPECT_FALSE(matches("a/**/z", "b/a/z"));
  EXPECT_TRUE(matches("a/**", "a/b"));
  EXPECT_FALSE(matches("a/**", "a", true));
  EXPECT_TRUE(matches("/*.c", "x.c"));
  EXPECT_FALSE(matches("/*.c", "a/x.c"));
  EXPECT_TRUE(matches("*\xff", "a\xff"));
  EXPECT_TRUE(matches("*.x", std::string(253, 'n') + ".x"));
}

TEST(ContextFilter, WrongPatternsAreRefused) {
  for (const std::string& pattern : {std::string(), std::string("/"), std::string("!a"), std::string("a/../b"),
                                     std::string("./a"), std::string("a//b"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(ContextFilter::Make(Patterns{pattern})) << pattern;
    EXPECT_FALSE(ContextFilter::Make({}, Patterns{pattern})) << pattern;
  }
}

TEST(ContextFilter, MovesWithItsIndex) {
  ContextFilter first = Filter({}, {"a-name-that-is-exact", "b"});
  const ContextFilter second = std::move(first);
  EXPECT_TRUE(second.LeftOut("x/a-name-that-is-exact", false));
  EXPECT_TRUE(second.LeftOut("x/b", false));
}

TEST(ContextFilter, LongPaths) {
  std::string path;
  while (path.size() < 10'000) path += std::string(100, 'D') + "/";
  EXPECT_FALSE(Filter().LeftOut(path + "x", false));
  EXPECT_TRUE(Filter().LeftOut(path + ".ENV", false));
}

// What is in a folder that is left out is left out, whatever the patterns.
RC_GTEST_PROP(ContextFilterProperty, LeftOutIsInherited, ()) {
  const auto word = rc::gen::element<std::string>("a", "b", ".git", ".env", "x.pem", ".aws", "config");
  const auto pattern =
      rc::gen::element<std::string>("a", "b/", "*.pem", ".aws/config", "/a/b", "**/b", "a/**", "*", ".git");
  const auto some = rc::gen::resize(3, rc::gen::container<Patterns>(pattern));
  const ContextFilter filter = Filter(*some, *some);
  std::string path;
  bool left_out = false;
  for (int depth = 0; depth < 5; ++depth) {
    path += (path.empty() ? "" : "/") + *word;
    const bool now = filter.LeftOut(path, true);
    RC_ASSERT(now || !left_out);
    if (now) RC_ASSERT(filter.LeftOut(path + "/anything", false));
    left_out = now;
  }
}

}  // namespace
}  // namespace nucleus::context
