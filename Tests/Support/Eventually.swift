/// What a test waited for did not come, or what came was not it.
public struct ScenarioFailure: Error, CustomStringConvertible {
    /// What was waited for, how long, and what was there instead.
    public let description: String

    /// The whole sentence.
    public init(description: String) {
        self.description = description
    }
}

/// Throws where a condition does not hold: for threads, on which an expectation would not know its test.
public func demand(_ condition: Bool, _ found: @autoclosure () -> String) throws {
    if !condition { throw ScenarioFailure(description: found()) }
}

/// How often an event is looked for before it is given up.
private let leastLooks = 100

/// Waits for an event, by looking every few milliseconds: a test never sleeps for as long as it hopes to be enough.
///
/// The condition is always asked once more after the deadline, and a hundred times in all, so that a starved machine
/// delays a test and does not fail it: where hundreds of tests begin at once, the first look may be the only one for
/// half a minute.
///
/// - Parameters:
///   - what: the event, as a claim.
///   - limit: when to give up.
///   - found: what is there instead, for the error.
///   - event: nil for not yet.
public func eventually<T: Sendable>(
    _ what: String,
    within limit: Duration = .seconds(20),
    found: @Sendable () -> String = { "" },
    _ event: @Sendable () throws -> T?
) async throws -> T {
    let deadline = ContinuousClock.now + limit
    var looks = 0
    while true {
        looks += 1
        let isOver = ContinuousClock.now > deadline && looks > leastLooks
        if let value = try event() { return value }
        if isOver { throw ScenarioFailure(description: "not within \(limit): \(what). \(found())") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Waits until a condition holds.
public func eventually(
    _ what: String,
    within limit: Duration = .seconds(20),
    found: @Sendable () -> String = { "" },
    _ condition: @Sendable () throws -> Bool
) async throws {
    _ = try await eventually(what, within: limit, found: found) { () -> Bool? in try condition() ? true : nil }
}
