import Foundation
import Testing
import Tunnel

@testable import culvert

/// The keys of `[limits]`, row by row: the limit that a key sets, its range, and the error beyond its range.
@Suite("Ranges of the limits")
struct LimitRangeTests {
    /// A key in the configuration of one role.
    struct Case: Sendable, CustomTestStringConvertible {
        let limit: Limit
        let key: LimitKey
        let isServer: Bool

        var testDescription: String { "\(key.name), \(isServer ? "server" : "client")" }
    }

    static let cases = LimitTable.rows.flatMap { limit -> [Case] in
        guard let key = limit.key else { return [] }
        return [key.server != nil, key.client != nil].enumerated().filter(\.element).map { index, _ in
            Case(limit: limit, key: key, isServer: index == 0)
        }
    }

    @Test("a value at either end of its range is accepted, and changes its own limit only", arguments: cases)
    func ends(of test: Case) throws {
        let before = try values(test, nil)
        for end in [test.key.range.lowerBound, test.key.range.upperBound] {
            var after = try values(test, end.inConfiguration)
            #expect(after.removeValue(forKey: test.key.name) == end)
            #expect(after == before.filter { $0.key != test.key.name })
        }
    }

    @Test(
        "a value one past either end of its range is refused, with its line, the range and the reason",
        arguments: cases
    )
    func past(of test: Case) {
        let range = test.key.range
        for value in [range.lowerBound.moved(by: -1), range.upperBound.moved(by: 1)] {
            expectRefusal(test, value.inConfiguration)
        }
    }

    @Test("a value that is not a number in the limit's unit is refused", arguments: cases)
    func units(of test: Case) {
        let others =
            switch test.limit.value {
            case .count, .part: ["\"10\"", "\"10 s\"", "\"10 KiB\""]
            case .bytes: ["\"64 s\"", "\"64 MB/s\""]
            case .time: ["\"10 KiB\"", "\"10 fortnights\""]
            }
        for value in ["0", "-1", "true", "\"much\"", "1.5", "\"99999999999999999999 GiB\""] + others {
            expectRefusal(test, value)
        }
    }

    @Test("the default lies in the range", arguments: cases)
    func defaults(of test: Case) {
        #expect(test.key.range.contains(test.limit.value))
    }

    @Test("both roles have one default for a key that both have", arguments: cases)
    func rolesAgree(on test: Case) {
        let client = ClientConfiguration(endpoints: [], tunnels: [], token: nil, instance: [])
        if let bound = test.key.server { #expect(bound.read(ServerConfiguration()) == test.limit.value) }
        if let bound = test.key.client { #expect(bound.read(client) == test.limit.value) }
    }

    @Test("the keys that an error lists are those of the role's rows")
    func keys() throws {
        for isServer in [true, false] {
            let problem = try #require(
                LimitFile.problem {
                    let text = "[limits]\nnonsense = 1\n"
                    return isServer ? try LimitFile.server(text) as Any : try LimitFile.client(text)
                }
            )
            let names = Self.cases.filter { $0.isServer == isServer }.map(\.key.name).sorted()
            #expect(
                problem.hasSuffix("limits.nonsense: unknown key; known here: \(names.joined(separator: ", "))")
            )
        }
    }

    private func expectRefusal(_ test: Case, _ value: String) {
        let problem = LimitFile.problem { try values(test, value) } ?? "none"
        let (minimum, maximum) = (test.key.range.lowerBound.inConfiguration, test.key.range.upperBound.inConfiguration)
        let line = test.isServer ? 3 : 4
        let expected =
            ".toml:\(line): limits.\(test.key.name): expected \(minimum) to \(maximum): \(test.limit.reason)"
        #expect(problem.contains(expected), "\(value): \(problem)")
    }

    /// All limits of the role, with this value of the key. Keys that bound it have their most permissive values.
    private func values(_ test: Case, _ value: String?) throws -> [String: LimitValue] {
        var lines = value.map { ["\(test.key.name) = \($0)"] } ?? []
        for (key, value) in Self.mostPermissive(test.key.name) { lines.append("\(key) = \(value.inConfiguration)") }
        let text = "[limits]\n" + lines.joined(separator: "\n") + "\n"
        let keys = LimitTable.rows.compactMap(\.key)
        if test.isServer {
            let configuration = try LimitFile.server(text)
            return keys.reduce(into: [:]) { $0[$1.name] = $1.server?.read(configuration) }
        }
        let configuration = try LimitFile.client(text)
        return keys.reduce(into: [:]) { $0[$1.name] = $1.client?.read(configuration) }
    }

    /// The keys that bound a key, each with its most permissive value.
    private static func mostPermissive(_ key: String) -> [(key: String, value: LimitValue)] {
        var (found, open): ([String: LimitValue], [(key: String, isAbove: Bool?)]) = ([:], [(key, nil)])
        while let (current, isAbove) = open.popLast() {
            if isAbove != false {
                open += LimitRelation.all.filter { $0.lesser == current }.map { ($0.greater, true) }
            }
            if isAbove != true {
                open += LimitRelation.all.filter { $0.greater == current }.map { ($0.lesser, false) }
            }
            guard let isAbove, let range = cases.first(where: { $0.key.name == current })?.key.range else { continue }
            found[current] = isAbove ? range.upperBound : range.lowerBound
        }
        return found.map { ($0.key, $0.value) }
    }
}

extension LimitValue {
    /// The value plus `steps` times the smallest step of a configuration.
    fileprivate func moved(by steps: Int) -> LimitValue {
        switch self {
        case .count(let number): .count(number + steps)
        case .bytes(let number): .bytes(number + steps)
        case .time(let duration): .time(duration + .milliseconds(steps))
        case .part: self
        }
    }
}
