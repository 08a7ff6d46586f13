#include "context/filter.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <climits>

namespace nucleus::context {

namespace {

constexpr std::string_view kVersionControl =
    "version control: the history holds what was removed, and remotes' passwords";
constexpr std::string_view kEnvironment = "environment file: passwords and tokens of a deployment";
constexpr std::string_view kPrivateKey = "private key";
constexpr std::string_view kKeyStore = "store of keys or passwords";
constexpr std::string_view kLogin = "a login";
constexpr std::string_view kCloud = "access to a cloud";
constexpr std::string_view kCluster = "access to a cluster";
constexpr std::string_view kRegistry = "token of a package or image registry";
constexpr std::string_view kInfrastructure = "state or values of infrastructure, with passwords in clear";
constexpr std::string_view kHistory = "commands as typed, with passwords in them";

// Lower case.
constexpr LeftOutByDefault kList[] = {
    {".git", kVersionControl},
    {".hg", kVersionControl},
    {".svn", kVersionControl},
    {".bzr", kVersionControl},
    {".jj", kVersionControl},
    {"_darcs", kVersionControl},
    {"cvs/", kVersionControl},
    {".git-credentials", kLogin},
    {".env", kEnvironment},
    {".env.*", kEnvironment},
    {"*.env", kEnvironment},
    {"*.env~", kEnvironment},
    {"*.env.bak", kEnvironment},
    {"*.env.old", kEnvironment},
    {"*.env.orig", kEnvironment},
    {".envrc", kEnvironment},
    {"*.pem", kPrivateKey},
    {"*.pem~", kPrivateKey},
    {"*.pem.bak", kPrivateKey},
    {"*.pem.old", kPrivateKey},
    {"*.pem.orig", kPrivateKey},
    {"*.key", kPrivateKey},
    {"*.key~", kPrivateKey},
    {"*.key.bak", kPrivateKey},
    {"*.key.old", kPrivateKey},
    {"*.key.orig", kPrivateKey},
    {"*.p8", kPrivateKey},
    {"*.p12", kPrivateKey},
    {"*.pfx", kPrivateKey},
    {"*.ppk", kPrivateKey},
    {"id_rsa*", kPrivateKey},
    {"id_dsa*", kPrivateKey},
    {"id_ecdsa*", kPrivateKey},
    {"id_ed25519*", kPrivateKey},
    {"ssh_host_*_key", kPrivateKey},
    {".ssh", kPrivateKey},
    {".gnupg", kPrivateKey},
    {"*.jks", kKeyStore},
    {"*.keystore", kKeyStore},
    {"*.kdbx", kKeyStore},
    {"*.keytab", kKeyStore},
    {".password-store", kKeyStore},
    {".vault-token", kLogin},
    {".netrc", kLogin},
    {"_netrc", kLogin},
    {".pgpass", kLogin},
    {".my.cnf", kLogin},
    {".mylogin.cnf", kLogin},
    {".htpasswd", kLogin},
    {"*.ovpn", kLogin},
    {"rclone.conf", kLogin},
    {".rclone.conf", kLogin},
    {".s3cfg", kLogin},
    {".boto", kLogin},
    {".sentryclirc", kLogin},
    {".terraformrc", kLogin},
    {"**/.config/gh/hosts.yml", kLogin},
    {"credentials", kLogin},
    {"credentials.*", kLogin},
    {"secrets.json", kLogin},
    {"secrets.toml", kLogin},
    {"secrets.yaml", kLogin},
    {"secrets.yml", kLogin},
    {".aws", kCloud},
    {".azure", kCloud},
    {"**/.config/gcloud", kCloud},
    {"application_default_credentials.json", kCloud},
    {"client_secret*.json", kCloud},
    {"*service-account*.json", kCloud},
    {"*service_account*.json", kCloud},
    {".kube", kCluster},
    {"kubeconfig", kCluster},
    {"*.kubeconfig", kCluster},
    {"**/.docker/config.json", kRegistry},
    {".dockercfg", kRegistry},
    {"/auth.json", kRegistry},
    {"**/containers/auth.json", kRegistry},
    {"**/composer/auth.json", kRegistry},
    {"**/.composer/auth.json", kRegistry},
    {".npmrc", kRegistry},
    {".pypirc", kRegistry},
    {"**/.m2/settings.xml", kRegistry},
    {".terraform", kInfrastructure},
    {"*.tfstate", kInfrastructure},
    {"*.tfstate.*", kInfrastructure},
    {"*.tfvars", kInfrastructure},
    {"*.tfvars.json", kInfrastructure},
    {".*_history", kHistory},
};

std::string_view LastName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}
std::string_view Above(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

bool HasWildcard(std::string_view text) {
  return text.find_first_of("*?[\\") != std::string_view::npos;
}

// In C's sense of letters: bytes beyond ASCII stay.
char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::span<const LeftOutByDefault> ContextList() {
  return kList;
}

// One component of a path as fnmatch(3) needs it, in lower case where case does not count.
class ContextFilter::Folded {
 public:
  Folded(std::string_view name, bool fold) : size_(std::min<std::size_t>(name.size(), NAME_MAX)) {
    name = name.substr(0, size_);  // longer ones do not exist
    std::ranges::transform(name, text_.data(), [fold](char c) { return fold ? Lower(c) : c; });
    text_[size_] = '\0';
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

  [[nodiscard]] bool Is(const Component& component) const {
    switch (component.match) {
      case Match::kExact:
        return view() == component.text;
      case Match::kPrefix:
        return view().starts_with(component.text);
      case Match::kSuffix:
        return view().ends_with(component.text);
      case Match::kAnyName:
      case Match::kAnyDepth:
        return true;
      case Match::kGlob:
        return ::fnmatch(component.text.c_str(), text_.data(), 0) == 0;
    }
    return false;
  }

 private:
  std::size_t size_;
  std::array<char, NAME_MAX + 1> text_;  // NOLINT(*-member-init)
};

bool ContextFilter::Set::MatchesPath(std::span<const Component> components, std::string_view path) const {
  if (components.empty()) return path.empty();
  const Component& last = components.back();
  const auto before = components.first(components.size() - 1);
  if (last.match == Match::kAnyDepth) {
    if (before.empty()) return true;
    for (;; path = Above(path)) {
      if (MatchesPath(before, path)) return true;
      if (path.empty()) return false;
    }
  }
  return !path.empty() && Folded(LastName(path), fold_).Is(last) && MatchesPath(before, Above(path));
}

Result<> ContextFilter::Set::Add(std::string_view text) {
  const auto refuse = [&](std::string_view why) { return Fail(Error::Invalid(text, why)); };
  if (text.starts_with('!')) {
    return Fail(Error::Invalid(text, "a pattern does not begin with '!'").Hint("write \\! for a name that does"));
  }
  if (text.find('\0') != std::string_view::npos) return refuse("a pattern holds no NUL");
  Pattern pattern;
  std::string_view rest = text;
  if (rest.ends_with('/')) {
    pattern.directories_only = true;
    rest.remove_suffix(1);
  }
  const bool from_top = rest.find('/') != std::string_view::npos;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty()) return refuse("an empty pattern");
  if (!from_top) pattern.components.push_back({Match::kAnyDepth, ""});
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    if (name.empty() || name == "." || name == "..") {
      return refuse("a pattern has no empty component and no . or ..");
    }
    Component component{Match::kGlob, std::string(name)};
    if (name == "**") {
      component = {Match::kAnyDepth, ""};
    } else if (name == "*") {
      component = {Match::kAnyName, ""};
    } else if (!HasWildcard(name)) {
      component.match = Match::kExact;
    } else if (name.ends_with('*') && !HasWildcard(name.substr(0, name.size() - 1))) {
      component = {Match::kPrefix, std::string(name.substr(0, name.size() - 1))};
    } else if (name.starts_with('*') && !HasWildcard(name.substr(1))) {
      component = {Match::kSuffix, std::string(name.substr(1))};
    }
    pattern.components.push_back(std::move(component));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  // "a/**" is what is in a, not a itself.
  if (pattern.components.back().match == Match::kAnyDepth) pattern.components.push_back({Match::kAnyName, ""});
  patterns_.push_back(std::move(pattern));
  return {};
}

void ContextFilter::Set::Seal() {
  by_first_.resize(256);
  by_last_.resize(256);
  const auto byte = [](char c) { return static_cast<unsigned char>(c); };
  for (const Pattern& pattern : patterns_) {
    const Component& last = pattern.components.back();
    const bool glob = last.match == Match::kGlob;
    if (last.match == Match::kExact) {
      exact_.emplace(last.text, &pattern);
    } else if (last.match == Match::kPrefix || (glob && !HasWildcard(last.text.substr(0, 1)))) {
      by_first_[byte(last.text.front())].push_back(&pattern);
    } else if (last.match == Match::kSuffix ||
               (glob && last.text.find_last_of("\\?[]") == std::string::npos && !last.text.ends_with('*'))) {
      by_last_[byte(last.text.back())].push_back(&pattern);
    } else {
      others_.push_back(&pattern);
    }
  }
}

bool ContextFilter::Set::Matches(std::string_view path, bool is_directory) const {
  if (patterns_.empty() || path.empty()) return false;
  const Folded folded(LastName(path), fold_);
  const std::string_view name = folded.view();
  const std::string_view above = Above(path);
  const auto matches = [&](const Pattern* pattern) {
    const std::span components(pattern->components);
    return (is_directory || !pattern->directories_only) && folded.Is(components.back()) &&
           MatchesPath(components.first(components.size() - 1), above);
  };
  const auto [begin, end] = exact_.equal_range(name);
  return std::any_of(begin, end, [&](const auto& item) { return matches(item.second); }) ||
         std::ranges::any_of(by_first_[static_cast<unsigned char>(name.front())], matches) ||
         std::ranges::any_of(by_last_[static_cast<unsigned char>(name.back())], matches) ||
         std::ranges::any_of(others_, matches);
}

bool ContextFilter::Set::MayMatchIn(std::string_view directory) const {
  return std::ranges::any_of(patterns_, [&](const Pattern& pattern) {
    if (pattern.components.front().match == Match::kAnyDepth) return false;
    std::string_view rest = directory;
    for (const Component& component : pattern.components) {
      if (rest.empty() || component.match == Match::kAnyDepth) return true;
      const std::size_t slash = rest.find('/');
      if (!Folded(rest.substr(0, slash), fold_).Is(component)) return false;
      rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    }
    return false;  // it matches the directory itself, or something above it
  });
}

Result<ContextFilter> ContextFilter::Make(std::span<const std::string> include, std::span<const std::string> exclude) {
  ContextFilter filter;
  Sha256 hash;
  for (const LeftOutByDefault& item : kList) {
    TRY(filter.list_.Add(item.pattern));
    hash.AddField(item.pattern);
  }
  for (const std::string& pattern : include) {
    TRY_IN("context_include", filter.include_.Add(pattern));
    hash.AddField("+").AddField(pattern);
  }
  for (const std::string& pattern : exclude) {
    TRY_IN("context_exclude", filter.exclude_.Add(pattern));
    hash.AddField("-").AddField(pattern);
  }
  filter.digest_ = hash.Finish();
  filter.list_.Seal();
  filter.include_.Seal();
  filter.exclude_.Seal();
  return filter;
}

bool ContextFilter::Step(Folder& folder, std::string_view path, bool is_directory) const {
  if (exclude_.Matches(path, is_directory)) return true;
  if (folder.included || include_.Matches(path, is_directory)) {
    folder.included = true;
    return false;
  }
  folder.listed = folder.listed || list_.Matches(path, is_directory);
  return folder.listed && !(is_directory && include_.MayMatchIn(path));
}

bool ContextFilter::LeftOut(const Folder& folder, std::string_view path, bool is_directory) const {
  Folder below = folder;
  return Step(below, path, is_directory);
}

ContextFilter::Folder ContextFilter::Inside(std::string_view folder) const {
  Folder inside;
  if (include_.empty()) return inside;  // otherwise it would be left out
  for (std::size_t end = 0; end < folder.size(); ++end) {
    end = std::min(folder.find('/', end), folder.size());
    if (Step(inside, folder.substr(0, end), true)) break;
  }
  return inside;
}

bool ContextFilter::LeftOut(std::string_view path, bool is_directory) const {
  Folder folder;
  for (std::size_t end = 0; end < path.size(); ++end) {
    end = std::min(path.find('/', end), path.size());
    if (Step(folder, path.substr(0, end), end < path.size() || is_directory)) return true;
  }
  return false;
}

}  // namespace nucleus::context
