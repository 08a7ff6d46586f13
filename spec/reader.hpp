// What reading of a document shares: where problems go, how places are named, what variables and paths mean.
#pragma once

#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/nearest.hpp"
#include "spec/load.hpp"
#include "spec/value.hpp"

namespace nucleus::spec {

struct SourceFile {
  std::string name;       // as the user named it, for messages
  std::string directory;  // of the file; "" or absolute or relative to the working directory
};

class Reader {
 public:
  explicit Reader(const Outside& outside) : outside_(outside) {}

  [[nodiscard]] const Outside& outside() const { return outside_; }
  std::vector<SourceFile>& files() { return files_; }
  [[nodiscard]] const std::vector<SourceFile>& files() const { return files_; }
  std::vector<Problem>& problems() { return problems_; }

  void Report(Place place, std::string message, bool warning = false);
  // "memory: '512Q' is not a size…", with what the text was before variables were put in.
  void Wrong(std::string_view key, const Value& value, std::string_view cause);
  void WrongType(std::string_view key, const Value& value, std::string_view expected);
  [[nodiscard]] std::string PlaceText(Place place) const;  // "shop.toml:14:3"

  // ", did you mean 'memory'?" where one of the known names is near; empty otherwise, and once it was asked too often:
  // the search costs much, and after the first dozens nobody reads its answers.
  template <std::ranges::input_range Names>
  std::string Suggestion(std::string_view name, const Names& known) {
    if (suggestions_left_ == 0) return "";
    --suggestions_left_;
    const std::vector<std::string_view> names(std::ranges::begin(known), std::ranges::end(known));
    const auto nearest = Nearest(name, names);
    return nearest ? ", did you mean '" + std::string(*nearest) + "'?" : "";
  }

  // A host path of the document: absolute as it is, otherwise relative to its file. Without "." and "..".
  [[nodiscard]] std::string HostPath(const Value& value) const;

  // Keys are options of a command line: messages say --memory.
  void set_for_flags() { for_flags_ = true; }
  [[nodiscard]] bool for_flags() const { return for_flags_; }

  [[nodiscard]] bool failed() const { return errors_ > 0; }
  [[nodiscard]] std::size_t errors() const { return errors_; }
  // Problems by file and line, the same ones once.
  std::vector<spec::Problem> TakeProblems();

 private:
  const Outside& outside_;
  std::vector<SourceFile> files_;
  std::vector<spec::Problem> problems_;
  bool for_flags_ = false;
  std::size_t errors_ = 0;
  std::size_t unseen_ = 0;  // problems beyond those that are kept
  std::size_t suggestions_left_ = 64;
};

// The text of a person's message for something that may come from a hostile file: cut to 80 bytes, control characters
// escaped.
std::string Shown(std::string_view text);

}  // namespace nucleus::spec
