// Which files of a context (--context DIR) are left out: version control, secrets, keys. Pure.
//
// Three sets of patterns decide of each name, from the top of the tree down:
//   1. An exclude pattern matches: left out.
//   2. An include pattern matches it or a folder that it is in: the list below does not apply to it any more.
//   3. The list matches: left out. Of a folder that the list leaves out an include pattern that names it from the top
//      (".aws/config") still brings back what it matches, and only that.
// What is in a folder that is left out is left out.
//
// A pattern is one of fnmatch(3), applied by components:
//   - `*`, `?` and `[...]` never match a slash; a leading dot is nothing special; a backslash takes the next as it is.
//   - Without a slash, or with one at its end only, it matches a name anywhere: `*.log`, `build/`.
//   - With one at its beginning or in its middle it is a path from the top of the context: `/notes`, `docs/*.md`.
//   - `**/` in front or in the middle is any number of folders, `/**` at the end everything inside.
//   - With a slash at its end it matches folders only.
//   - Upper and lower case differ, but for the list, which matches either.
// Patterns are trusted. Paths are bytes, relative to the context, without "." and "..".
// Threads: a filter does not change once made; LeftOut may be called by several.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::context {

struct LeftOutByDefault {
  std::string_view pattern;  // lower case
  std::string_view why;
};
// In the order of the table of docs/policies.md.
std::span<const LeftOutByDefault> ContextList();

class ContextFilter {
 public:
  ContextFilter(ContextFilter&&) noexcept = default;
  ContextFilter& operator=(ContextFilter&&) noexcept = default;

  // kInvalid: a pattern that is empty, holds NUL or "..", or begins with "!".
  static Result<ContextFilter> Make(std::span<const std::string> include = {},
                                    std::span<const std::string> exclude = {});

  // Of all patterns that it was made of, the list's included.
  [[nodiscard]] const Digest& digest() const { return digest_; }

  // Allocates nothing.
  [[nodiscard]] bool LeftOut(std::string_view path, bool is_directory) const;

  // The same in steps, for walking down: what holds inside a folder that is not left out ("": the context itself) ...
  struct Folder {
    bool listed = false;    // only what is included is not left out
    bool included = false;  // the list does not apply
  };
  [[nodiscard]] Folder Inside(std::string_view folder) const;
  // ... and whether a path in that folder is left out.
  [[nodiscard]] bool LeftOut(const Folder& folder, std::string_view path, bool is_directory) const;

 private:
  ContextFilter() = default;

  enum class Match : std::uint8_t { kExact, kPrefix, kSuffix, kAnyName, kGlob, kAnyDepth };
  struct Component {
    Match match = Match::kExact;
    std::string text;
  };
  struct Pattern {
    std::vector<Component> components;
    bool directories_only = false;
  };
  class Folded;
  // Patterns by what their last component is, so that few are tried of each name. May be moved, not copied: the index
  // points into the patterns.
  class Set {
   public:
    explicit Set(bool fold) : fold_(fold) {}
    Result<> Add(std::string_view text);
    void Seal();
    [[nodiscard]] bool empty() const { return patterns_.empty(); }
    [[nodiscard]] bool Matches(std::string_view path, bool is_directory) const;
    // Whether a pattern that names its folders from the top may match something in that one.
    [[nodiscard]] bool MayMatchIn(std::string_view directory) const;

   private:
    [[nodiscard]] bool MatchesPath(std::span<const Component> components, std::string_view path) const;

    using Index = std::vector<std::vector<const Pattern*>>;  // by a byte; empty or 256

    bool fold_;  // either case of letters
    std::vector<Pattern> patterns_;
    std::unordered_multimap<std::string_view, const Pattern*> exact_;
    Index by_first_, by_last_;  // the byte that a name begins or ends with
    std::vector<const Pattern*> others_;
  };

  // Whether `path`, not left out so far, is now; adds to folder what it means for what is in it.
  [[nodiscard]] bool Step(Folder& folder, std::string_view path, bool is_directory) const;

  Set list_{true}, include_{false}, exclude_{false};
  Digest digest_;
};

}  // namespace nucleus::context
