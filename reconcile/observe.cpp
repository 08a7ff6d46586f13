#include "reconcile/observe.hpp"

#include <atomic>
#include <vector>

#include "spec/core/threads.hpp"

namespace nucleus::reconcile {

namespace {

struct Question {
  Prober* prober = nullptr;
  ProbeRequest request;
  Result<Observations> answer;
};

// A prober of several parts is asked once for all of them, and also where nobody believes in any: for orphans.
std::vector<Question> Questions(const std::string& project, const std::map<PartKey, Wanted>& wanted,
                                const std::map<Part, Prober*>& probers) {
  std::vector<Question> questions;
  std::map<Prober*, std::size_t> index;
  for (const auto& [part, prober] : probers) {
    if (index.try_emplace(prober, questions.size()).second)
      questions.push_back({.prober = prober, .request = {.project = project, .parts = {}}, .answer = {}});
  }
  for (const auto& [key, part] : wanted) {
    if (const auto prober = probers.find(key.part); prober != probers.end())
      questions[index.at(prober->second)].request.parts.emplace(key, part);
  }
  return questions;
}

}  // namespace

Result<Observations> Observe(const std::string& project, const std::map<PartKey, Wanted>& wanted,
                             const std::map<Part, Prober*>& probers) {
  auto questions = Questions(project, wanted, probers);
  std::atomic<std::size_t> next = 0;
  RunTogether(questions.empty() ? 0 : questions.size() - 1, [&] {
    for (std::size_t i = next++; i < questions.size(); i = next++)
      questions[i].answer = questions[i].prober->Probe(questions[i].request);
  });
  Observations all;
  for (auto& question : questions) all.merge(TRY(std::move(question.answer)));
  for (const auto& [key, part] : wanted) all.try_emplace(key);  // a part that nobody probes is absent
  return all;
}

}  // namespace nucleus::reconcile
