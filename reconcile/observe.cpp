#include "reconcile/observe.hpp"

#include <atomic>
#include <vector>

#include "spec/core/threads.hpp"

namespace nucleus::reconcile {

namespace {

struct Asked {
  Prober* prober = nullptr;
  ProbeRequest request;
  Result<Observations> answer;
};

// A prober of several parts is asked once for all of them, and also where nobody believes in any: for orphans.
std::vector<Asked> Questions(const std::string& project, std::map<PartKey, Wanted>&& wanted,
                             const std::map<Part, Prober*>& probers) {
  std::vector<Asked> questions;
  std::map<Prober*, std::size_t> index;
  for (const auto& [part, prober] : probers) {
    if (index.try_emplace(prober, questions.size()).second)
      questions.push_back({.prober = prober, .request = {.project = project, .parts = {}}, .answer = {}});
  }
  while (!wanted.empty()) {
    auto node = wanted.extract(wanted.begin());
    const auto prober = probers.find(node.key().part);
    if (prober == probers.end()) continue;
    auto& parts = questions[index.at(prober->second)].request.parts;
    parts.insert(parts.end(), std::move(node));
  }
  return questions;
}

}  // namespace

Result<Observations> Observe(const std::string& project, std::map<PartKey, Wanted> wanted,
                             const std::map<Part, Prober*>& probers) {
  Observations all;
  for (const auto& [key, part] : wanted) all.try_emplace(all.end(), key);  // a part that nobody probes is absent
  auto questions = Questions(project, std::move(wanted), probers);
  std::atomic<std::size_t> next = 0;
  RunTogether(questions.empty() ? 0 : questions.size() - 1, [&] {
    for (std::size_t i = next++; i < questions.size(); i = next++)
      questions[i].answer = questions[i].prober->Probe(questions[i].request);
  });
  for (auto& question : questions) {
    for (auto& [key, seen] : TRY(std::move(question.answer))) all.insert_or_assign(key, std::move(seen));
  }
  return all;
}

}  // namespace nucleus::reconcile
