// Graph algorithms over nodes that are small numbers. Standard library only; knows nothing of containers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

namespace nucleus::dag {

using Node = std::uint32_t;

// A directed graph: an edge a -> b says that a comes before b. Nodes are 0 .. size-1. Parallel edges count once.
class Graph {
 public:
  explicit Graph(std::size_t size = 0);
  Node AddNode();
  void AddEdge(Node before, Node after);
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] const std::vector<Node>& After(Node node) const;   // sorted
  [[nodiscard]] const std::vector<Node>& Before(Node node) const;  // sorted

  // A topological order: among the nodes that are free, the smallest first. None where there is a cycle.
  [[nodiscard]] std::optional<std::vector<Node>> Order() const;
  // One cycle in full, from its smallest node, as short as a breadth-first search finds it; none: empty.
  [[nodiscard]] std::vector<Node> Cycle() const;
  // Everything reachable along the edges from these nodes, themselves included; sorted.
  [[nodiscard]] std::vector<Node> Descendants(const std::vector<Node>& from) const;
  [[nodiscard]] std::vector<Node> Ancestors(const std::vector<Node>& from) const;

 private:
  using Lists = std::vector<std::vector<Node>>;
  static std::vector<Node> Reach(const Lists& lists, const std::vector<Node>& from);

  Lists after_;
  Lists before_;
};

// Which nodes may start now. Not thread-safe: the executor guards it.
class ReadyQueue {
 public:
  explicit ReadyQueue(const Graph& graph);  // the graph outlives the queue
  [[nodiscard]] std::optional<Node> Pop();  // the smallest that is ready
  void Done(Node node);
  // Gives up every descendant of a failed node that has not started; returns them, sorted.
  std::vector<Node> Fail(Node node);
  [[nodiscard]] bool Exhausted() const;  // nothing ready, nothing running

 private:
  const Graph* graph_;
  std::vector<std::uint32_t> waiting_for_;  // by node: predecessors that are not done
  std::vector<bool> given_up_;
  std::priority_queue<Node, std::vector<Node>, std::greater<>> ready_;
  std::size_t running_ = 0;
};

}  // namespace nucleus::dag
