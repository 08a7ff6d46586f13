#include "reconcile/explain.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "spec/core/text.hpp"

namespace nucleus::reconcile {

namespace {

struct LineLook {
  std::string_view name;
  std::string_view mark;
  std::string_view colour;  // ECMA-48 SGR
};

// Indexed by LineType.
constexpr std::array<LineLook, kLineTypes> kLooks{{
    {"destroy", "-", "31"},
    {"replace", "-/+", "31"},
    {"restart", "±", "33"},
    {"signal", "~", "33"},
    {"live", "~", "36"},
    {"create", "+", "32"},
    {"adopt", "=", "32"},
    {"drift", "!", "35"},
    {"unreadable", "?", "35"},
    {"none", " ", "0"},
}};

const LineLook& LookOf(LineType type) {
  return kLooks[static_cast<std::size_t>(type)];
}

// Columns that a text takes, every code point counting one: enough for the signs we print ourselves.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Padded(std::string_view text, std::size_t width) {
  std::string out(text);
  for (std::size_t have = Width(text); have < width; ++have) out += ' ';
  return out;
}

// One printed line: a resource with its first reason, or a further reason of it.
struct Line {
  LineType type = LineType::kNone;
  std::string address;  // empty: a further reason
  std::string action;
  std::string text;
  std::string place;
};

// What repairs a drift, in the words of the plan's example: a destroyed or restarted thing is called that.
std::string_view RepairName(Action action) {
  switch (action) {
    case Action::kRestart:
      return "restart";
    case Action::kReplace:
      return "replace";
    case Action::kDestroy:
      return "remove";
    case Action::kNone:
    case Action::kAdopt:
    case Action::kCreate:
    case Action::kLive:
    case Action::kSignal:
      return "restore";
  }
  return "restore";
}

std::string ReasonText(const Reason& reason, const Change& change) {
  std::string text = Printable(reason.text);
  if (reason.type != Reason::Type::kDrift || change.action == Action::kNone) return text;
  if (!change.drift) text = "drift: " + text;
  if (text.find("→") == std::string::npos) text += " → " + std::string(RepairName(change.action));
  return text;
}

std::vector<Line> LinesOf(const Change& change, std::span<const std::string> files) {
  const LineType type = LineTypeOf(change);
  std::vector<Line> lines;
  Line first{type, change.address.Text(), std::string(LookOf(type).name), "", ""};
  if (type == LineType::kUnreadable) first.action.clear();
  for (const Reason& reason : change.reasons) {
    // A new resource has nothing to say but where it stands.
    std::string text = type == LineType::kCreate && reason.type == Reason::Type::kNew ? "" : ReasonText(reason, change);
    std::string place = PlaceText(reason.place, files);
    if (lines.empty()) {
      first.text = std::move(text);
      first.place = std::move(place);
      lines.push_back(first);
    } else if (!text.empty()) {
      lines.push_back({type, "", "", std::move(text), std::move(place)});
    }
  }
  if (lines.empty()) lines.push_back(first);
  return lines;
}

std::string Rendered(const Line& line, const std::array<std::size_t, 3>& widths, bool colour) {
  std::string head = Padded(line.address.empty() ? "" : LookOf(line.type).mark, 3);
  if (colour && !line.address.empty()) {
    head = "\x1b[" + std::string(LookOf(line.type).colour) + "m" + head + "\x1b[0m";
  }
  std::string out = "  " + head + " " + Padded(line.address, widths[0]) + "  ";
  if (line.type == LineType::kUnreadable) {
    out += line.text;
  } else {
    out += Padded(line.action, widths[1]) + "  " + Padded(line.text, widths[2]);
    if (!line.place.empty()) out += "  " + line.place;
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

}  // namespace

LineType LineTypeOf(const Change& change) {
  if (change.unknown && change.action == Action::kNone) return LineType::kUnreadable;
  if (change.drift) return LineType::kDrift;
  switch (change.action) {
    case Action::kNone:
      return LineType::kNone;
    case Action::kAdopt:
      return LineType::kAdopt;
    case Action::kCreate:
      return LineType::kCreate;
    case Action::kLive:
      return LineType::kLive;
    case Action::kSignal:
      return LineType::kSignal;
    case Action::kRestart:
      return LineType::kRestart;
    case Action::kReplace:
      return LineType::kReplace;
    case Action::kDestroy:
      return LineType::kDestroy;
  }
  return LineType::kNone;
}

std::string_view LineTypeName(LineType type) {
  return LookOf(type).name;
}
std::string_view Mark(LineType type) {
  return LookOf(type).mark;
}

Counts CountLines(const Plan& plan) {
  Counts counts;
  for (const Change& change : plan.changes) ++counts.of[static_cast<std::size_t>(LineTypeOf(change))];
  return counts;
}

std::string Summary(const Plan& plan) {
  const Counts counts = CountLines(plan);
  std::string actions;
  std::string rest;
  for (std::size_t i = 0; i < kLineTypes; ++i) {
    const auto type = static_cast<LineType>(i);
    if (counts.of[i] == 0 || type == LineType::kNone) continue;
    const std::string item = std::to_string(counts.of[i]) + " " + std::string(kLooks[i].name);
    if (type == LineType::kDrift || type == LineType::kUnreadable) {
      rest += (rest.empty() ? "" : " · ") + item;
    } else {
      actions += (actions.empty() ? "" : ", ") + item;
    }
  }
  if (actions.empty() && rest.empty()) return "nothing to do";
  if (actions.empty()) return rest;
  return rest.empty() ? actions : actions + " · " + rest;
}

std::string ShortDigest(const Digest& digest) {
  return "sha256:" + digest.Hex().substr(0, 12);
}

std::string StepWords(const Step& step) {
  switch (step.verb) {
    case Verb::kApply:
      return std::string(ActionName(step.action)) + " " + step.key.Text();
    case Verb::kUndo:
      return "remove " + step.key.Text();
    case Verb::kSignal:
      return "signal " + step.key.Text();
    case Verb::kWaitStarted:
    case Verb::kWaitHealthy:
    case Verb::kWaitCompleted:
      return "wait for " + step.Text();
  }
  return step.Text();
}

std::string_view VerbName(Verb verb) {
  switch (verb) {
    case Verb::kApply:
      return "apply";
    case Verb::kUndo:
      return "undo";
    case Verb::kSignal:
      return "signal";
    case Verb::kWaitStarted:
      return "wait_started";
    case Verb::kWaitHealthy:
      return "wait_healthy";
    case Verb::kWaitCompleted:
      return "wait_completed";
  }
  return "apply";
}

std::string_view ReasonName(Reason::Type type) {
  switch (type) {
    case Reason::Type::kNew:
      return "new";
    case Reason::Type::kChanged:
      return "changed";
    case Reason::Type::kRemoved:
      return "removed";
    case Reason::Type::kDrift:
      return "drift";
    case Reason::Type::kDependency:
      return "dependency";
    case Reason::Type::kLeftover:
      return "leftover";
    case Reason::Type::kAsked:
      return "asked";
    case Reason::Type::kAdopted:
      return "adopted";
  }
  return "new";
}

std::string Explain(const Plan& plan, std::span<const std::string> files, const ExplainStyle& style) {
  std::vector<const Change*> changes;
  for (const Change& change : plan.changes) {
    const LineType type = LineTypeOf(change);
    // What destroys is printed always, also where only the summary was asked for; drift may destroy as well.
    const bool destroys = change.action == Action::kDestroy || change.action == Action::kReplace;
    if (type != LineType::kNone && (!style.summary_only || destroys)) changes.push_back(&change);
  }
  std::stable_sort(changes.begin(), changes.end(), [](const Change* a, const Change* b) {
    const bool a_destroys = a->action == Action::kDestroy;
    const bool b_destroys = b->action == Action::kDestroy;
    if (a_destroys != b_destroys) return a_destroys;
    return LineTypeOf(*a) < LineTypeOf(*b);
  });

  std::vector<Line> lines;
  for (const Change* change : changes) {
    for (Line& line : LinesOf(*change, files)) lines.push_back(std::move(line));
  }
  constexpr std::size_t kWidestText = 60;  // beyond it a place follows its text without being aligned
  std::array<std::size_t, 3> widths{0, 0, 0};
  for (const Line& line : lines) {
    widths[0] = std::max(widths[0], Width(line.address));
    if (line.type == LineType::kUnreadable) continue;
    widths[1] = std::max(widths[1], Width(line.action));
    if (Width(line.text) <= kWidestText) widths[2] = std::max(widths[2], Width(line.text));
  }

  const std::string_view bold = style.colour ? "\x1b[1m" : "";
  const std::string_view plain = style.colour ? "\x1b[0m" : "";
  std::string out(bold);
  out += plan.project + ":" + std::string(plain) + " " + Summary(plan) + " · plan " + ShortDigest(plan.digest) + "…\n";
  for (const Line& line : lines) out += Rendered(line, widths, style.colour);
  for (const std::string& warning : plan.warnings) out += "  warning: " + Printable(warning) + "\n";
  return out;
}

}  // namespace nucleus::reconcile
