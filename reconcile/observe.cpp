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

// What is wanted, parted among the probers: nodes of a map, so that nothing is copied.
class Questions {
 public:
  // A prober of several parts is asked once for all of them, and also where nobody believes in any: for orphans.
  Questions(const std::string& project, const std::map<Part, Prober*>& probers) {
    for (const auto& [part, prober] : probers) {
      const auto [index, fresh] = index_.try_emplace(prober, asked_.size());
      if (fresh) asked_.push_back({.prober = prober, .request = {.project = project, .parts = {}}, .answer = {}});
      by_part_.emplace(part, index->second);
    }
  }

  void Take(std::map<PartKey, Wanted>& wanted) {
    order_.reserve(wanted.size());
    while (!wanted.empty()) {
      auto node = wanted.extract(wanted.begin());
      const auto found = by_part_.find(node.key().part);
      order_.push_back(found == by_part_.end() ? &unasked_ : &asked_[found->second].request.parts);
      order_.back()->insert(order_.back()->end(), std::move(node));
    }
  }

  void GiveBack(std::map<PartKey, Wanted>& wanted) {
    for (auto* parts : order_) wanted.insert(wanted.end(), parts->extract(parts->begin()));
  }

  [[nodiscard]] std::vector<Asked>& asked() { return asked_; }

 private:
  std::vector<Asked> asked_;
  std::map<Prober*, std::size_t> index_;
  std::map<Part, std::size_t> by_part_;
  std::map<PartKey, Wanted> unasked_;              // parts that nobody probes
  std::vector<std::map<PartKey, Wanted>*> order_;  // where each went
};

// An answer is sorted as everything is.
void Add(Observations&& answer, Observations& all) {
  auto at = all.begin();
  for (auto& [key, seen] : answer) {
    while (at != all.end() && at->first < key) ++at;
    if (at != all.end() && at->first == key) {
      at->second = std::move(seen);
    } else {
      all.emplace_hint(at, key, std::move(seen));
    }
  }
}

}  // namespace

Result<Observations> Observe(const std::string& project, std::map<PartKey, Wanted>& wanted,
                             const std::map<Part, Prober*>& probers) {
  Observations all;
  for (const auto& [key, part] : wanted) all.try_emplace(all.end(), key);  // a part that nobody probes is absent
  Questions questions(project, probers);
  questions.Take(wanted);
  auto& asked = questions.asked();
  std::atomic<std::size_t> next = 0;
  RunTogether(asked.empty() ? 0 : asked.size() - 1, [&] {
    for (std::size_t i = next++; i < asked.size(); i = next++)
      asked[i].answer = asked[i].prober->Probe(asked[i].request);
  });
  questions.GiveBack(wanted);
  for (auto& question : asked) Add(TRY(std::move(question.answer)), all);
  return all;
}

}  // namespace nucleus::reconcile
