/// The labels of a series, valid for the exposition text.
struct MetricLabels: Sendable, Hashable {
    private struct Label: Sendable, Hashable {
        let name: String
        var value: String
    }

    private var labels: [Label]

    /// Repairs names, cuts values, and sorts. The first of two labels with one name counts.
    init(_ dimensions: [(String, String)]) {
        var labels: [Label] = []
        for (name, value) in dimensions {
            let name = MetricText.labelName(name)
            guard !labels.contains(where: { $0.name == name }) else { continue }
            labels.append(Label(name: name, value: MetricText.labelValue(value)))
        }
        self.labels = labels.sorted { $0.name < $1.name }
    }

    /// The labels of the series that further series share: the same names, with the value `other`.
    var overflow: MetricLabels {
        var result = self
        for index in result.labels.indices { result.labels[index].value = "other" }
        return result
    }

    /// `{name="value",other="value"}`, or an empty text without labels.
    var text: String { Self.text(labels) }

    /// The same with an additional label.
    func text(adding name: String, _ value: String) -> String {
        Self.text(labels + [Label(name: name, value: value)])
    }

    private static func text(_ labels: [Label]) -> String {
        guard !labels.isEmpty else { return "" }
        let pairs = labels.map { "\($0.name)=\"\(MetricText.escapedValue($0.value))\"" }
        return "{\(pairs.joined(separator: ","))}"
    }
}
