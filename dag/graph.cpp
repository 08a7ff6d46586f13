#include "dag/graph.hpp"

#include <algorithm>

namespace nucleus::dag {

namespace {

using Heap = std::priority_queue<Node, std::vector<Node>, std::greater<>>;

// Keeps a list sorted and without repeats. Edges mostly arrive in order, so the end is tried first.
bool Insert(std::vector<Node>& list, Node node) {
  constexpr std::size_t kUsual = 6;  // most have no more neighbours
  if (list.capacity() == 0) list.reserve(kUsual);
  if (list.empty() || list.back() < node) {
    list.push_back(node);
    return true;
  }
  const auto at = std::lower_bound(list.begin(), list.end(), node);
  if (*at == node) return false;
  list.insert(at, node);
  return true;
}

// Takes away, again and again, what has nothing before it; what is left lies on a cycle or behind one.
std::vector<bool> Peel(const std::vector<std::vector<Node>>& before, const std::vector<std::vector<Node>>& after,
                       std::vector<bool> left) {
  std::vector<std::size_t> degree(before.size());
  std::vector<Node> free;
  for (Node node = 0; node < before.size(); ++node) {
    if (!left[node]) continue;
    degree[node] = std::count_if(before[node].begin(), before[node].end(), [&](Node b) { return left[b]; });
    if (degree[node] == 0) free.push_back(node);
  }
  while (!free.empty()) {
    const Node node = free.back();
    free.pop_back();
    left[node] = false;
    for (const Node next : after[node]) {
      if (left[next] && --degree[next] == 0) free.push_back(next);
    }
  }
  return left;
}

// The shortest way from a node back to itself inside `within`, without the node's repetition at the end.
std::vector<Node> ShortestRound(const std::vector<std::vector<Node>>& after, const std::vector<bool>& within,
                                Node start) {
  std::vector<std::optional<Node>> from(after.size());
  std::queue<Node> queue;
  queue.push(start);
  while (!queue.empty()) {
    const Node node = queue.front();
    queue.pop();
    for (const Node next : after[node]) {
      if (!within[next] || from[next]) continue;
      from[next] = node;
      if (next != start) {
        queue.push(next);
        continue;
      }
      std::vector<Node> round;
      for (Node at = node; at != start; at = *from[at]) round.push_back(at);
      round.push_back(start);
      std::reverse(round.begin(), round.end());
      return round;
    }
  }
  return {};
}

}  // namespace

Graph::Graph(std::size_t size) : after_(size), before_(size) {}

Node Graph::AddNode() {
  after_.emplace_back();
  before_.emplace_back();
  return static_cast<Node>(after_.size() - 1);
}

void Graph::AddEdge(Node before, Node after) {
  if (Insert(after_[before], after)) Insert(before_[after], before);
}

std::size_t Graph::size() const {
  return after_.size();
}
const std::vector<Node>& Graph::After(Node node) const {
  return after_[node];
}
const std::vector<Node>& Graph::Before(Node node) const {
  return before_[node];
}

std::optional<std::vector<Node>> Graph::Order() const {
  std::vector<std::size_t> degree(size());
  Heap free;
  for (Node node = 0; node < size(); ++node) {
    degree[node] = before_[node].size();
    if (degree[node] == 0) free.push(node);
  }
  std::vector<Node> order;
  order.reserve(size());
  while (!free.empty()) {
    const Node node = free.top();
    free.pop();
    order.push_back(node);
    for (const Node next : after_[node]) {
      if (--degree[next] == 0) free.push(next);
    }
  }
  if (order.size() != size()) return std::nullopt;
  return order;
}

std::vector<Node> Graph::Cycle() const {
  // Peeled from both ends, what is left lies on a cycle or between two.
  const auto behind = Peel(before_, after_, std::vector<bool>(size(), true));
  const auto left = Peel(after_, before_, behind);
  for (Node node = 0; node < size(); ++node) {
    if (!left[node]) continue;
    if (auto round = ShortestRound(after_, left, node); !round.empty()) return round;
  }
  return {};
}

std::vector<Node> Graph::Reach(const Lists& lists, const std::vector<Node>& from) {
  std::vector<bool> seen(lists.size());
  std::vector<Node> stack;
  for (const Node node : from) {
    if (!seen[node]) stack.push_back(node);
    seen[node] = true;
  }
  std::vector<Node> found;
  while (!stack.empty()) {
    const Node node = stack.back();
    stack.pop_back();
    found.push_back(node);
    for (const Node next : lists[node]) {
      if (seen[next]) continue;
      seen[next] = true;
      stack.push_back(next);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Node> Graph::Descendants(const std::vector<Node>& from) const {
  return Reach(after_, from);
}
std::vector<Node> Graph::Ancestors(const std::vector<Node>& from) const {
  return Reach(before_, from);
}

ReadyQueue::ReadyQueue(const Graph& graph) : graph_(&graph), waiting_for_(graph.size()), given_up_(graph.size()) {
  for (Node node = 0; node < graph.size(); ++node) {
    waiting_for_[node] = static_cast<std::uint32_t>(graph.Before(node).size());
    if (waiting_for_[node] == 0) ready_.push(node);
  }
}

std::optional<Node> ReadyQueue::Pop() {
  if (ready_.empty()) return std::nullopt;
  const Node node = ready_.top();
  ready_.pop();
  ++running_;
  return node;
}

void ReadyQueue::Done(Node node) {
  --running_;
  for (const Node next : graph_->After(node)) {
    if (--waiting_for_[next] == 0 && !given_up_[next]) ready_.push(next);
  }
}

std::vector<Node> ReadyQueue::Fail(Node node) {
  --running_;
  std::vector<Node> lost;
  for (const Node next : graph_->Descendants({node})) {
    // A descendant waits for the failed node, so it cannot have started.
    if (next == node || given_up_[next]) continue;
    given_up_[next] = true;
    lost.push_back(next);
  }
  return lost;
}

bool ReadyQueue::Exhausted() const {
  return ready_.empty() && running_ == 0;
}

}  // namespace nucleus::dag
