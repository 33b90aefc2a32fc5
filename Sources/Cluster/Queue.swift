/// First in, first out. Removal takes constant time on average.
struct Queue<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    var isEmpty: Bool { head == elements.count }

    var count: Int { elements.count - head }

    var first: Element? { isEmpty ? nil : elements[head] }

    mutating func append(_ element: Element) {
        elements.append(element)
    }

    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        defer {
            head += 1
            if head > 64, head * 2 > elements.count {
                elements.removeFirst(head)
                head = 0
            }
        }
        return elements[head]
    }

    /// Removes elements that do not count any more, if at least half of them may be such.
    ///
    /// - Parameter living: the most elements that can count.
    /// - Returns: the removed elements.
    @discardableResult
    mutating func prune(above living: Int, keeping: (Element) -> Bool) -> [Element] {
        guard count > 2 * living + 64 else { return [] }
        let all = elements[head...]
        (elements, head) = (all.filter(keeping), 0)
        return all.filter { !keeping($0) }
    }
}
