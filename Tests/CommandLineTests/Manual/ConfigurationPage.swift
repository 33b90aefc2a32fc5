import Foundation

@testable import culvert
@testable import culvert_package

/// The page culvert.toml(5), with the keys of its sections.
struct ConfigurationPage {
    static let limitsTitle = "Keys of the table of limits"
    private static let start = ".Bl -tag -width Ds"
    private static let end = ".El"

    private let file: URL
    private var text: [String]

    init(at folder: URL) throws {
        file = folder.appendingPathComponent("culvert.toml.5")
        text = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
    }

    /// The lines of the list in a section.
    func lines(of section: String) -> [String] { range(of: section).map { Array(text[$0]) } ?? [] }

    /// The keys that the list of a section explains.
    func keys(of section: String) -> [String] {
        var keys: [String] = []
        var isContinued = false
        for line in lines(of: section) where isContinued || line.hasPrefix(".It Va ") {
            isContinued = line.hasSuffix("\\")
            keys += line.replacing(".It Va ", with: "").split(separator: " ").map(String.init)
                .filter { $0 != "," && $0 != "\\" }
        }
        return keys
    }

    /// Writes the list of limits again.
    mutating func record(_ lines: [String]) throws {
        guard let range = range(of: Self.limitsTitle) else { return }
        text.replaceSubrange(range, with: lines)
        try text.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
    }

    private func range(of section: String) -> Range<Int>? {
        guard let heading = text.firstIndex(of: ".Ss \(section)"),
            let start = text[heading...].firstIndex(of: Self.start),
            let end = text[start...].firstIndex(of: Self.end)
        else { return nil }
        return start + 1..<end
    }

    /// The list of all limits with a key.
    static var limits: [String] {
        LimitTable.rows.flatMap { limit -> [String] in
            guard let key = limit.key else { return [] }
            let role = key.server == nil ? " (client)" : key.client == nil ? " (server)" : ""
            let (lowest, highest) = (key.range.lowerBound.userDescription, key.range.upperBound.userDescription)
            let text =
                "\(limit.name)\(role). The default is \(limit.value.userDescription), and the range \(lowest) to \(highest)."
            return [".It Va \(key.name)"] + MdocText(text).lines
        }
    }
}
