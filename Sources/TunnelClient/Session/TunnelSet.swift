import Synchronization

/// The tunnels of a client, which may change while it runs. Used from any thread.
///
/// A tunnel that is removed takes no visitor from then on, and the streams of its visitors go on. The server gives its
/// port up.
public final class TunnelSet: Sendable {
    /// One tunnel by its number, which is never used again in a run.
    struct Entry: Sendable {
        let spec: TunnelSpec
        var isRemoved = false
    }

    private struct State {
        var entries: [Entry]
        var onChange: (@Sendable () -> Void)?
    }

    /// Numbers of tunnels in a run: the wire has 16 bits for them.
    private static let maximum = Int(UInt16.max)

    private let state: Mutex<State>

    /// The tunnels with which a client starts.
    init(_ specs: [TunnelSpec]) {
        state = Mutex(State(entries: specs.map { Entry(spec: $0) }))
    }

    /// The tunnels that were not removed.
    public var all: [TunnelSpec] { state.withLock { $0.entries.filter { !$0.isRemoved }.map(\.spec) } }

    /// Publishes another tunnel, now and in each session to come.
    ///
    /// - Returns: false if the run has used up the numbers of tunnels.
    @discardableResult
    public func add(_ spec: TunnelSpec) -> Bool {
        let isAdded = state.withLock { state in
            guard state.entries.count < Self.maximum else { return false }
            state.entries.append(Entry(spec: spec))
            return true
        }
        if isAdded { changed() }
        return isAdded
    }

    /// Removes a tunnel.
    ///
    /// - Returns: false if there is none like it.
    @discardableResult
    public func remove(_ spec: TunnelSpec) -> Bool {
        let isRemoved = state.withLock { state in
            guard let index = state.entries.firstIndex(where: { !$0.isRemoved && $0.spec == spec }) else {
                return false
            }
            state.entries[index].isRemoved = true
            return true
        }
        if isRemoved { changed() }
        return isRemoved
    }

    /// Removes the tunnels that are not among these, and publishes those of these that are new.
    ///
    /// - Returns: false if the run has used up the numbers of tunnels, and some of these are not published.
    @discardableResult
    public func replace(with specs: [TunnelSpec]) -> Bool {
        let (isComplete, hasChanged) = state.withLock { state in
            var wanted = specs
            var hasChanged = false
            for index in state.entries.indices where !state.entries[index].isRemoved {
                if let kept = wanted.firstIndex(of: state.entries[index].spec) {
                    wanted.remove(at: kept)
                } else {
                    state.entries[index].isRemoved = true
                    hasChanged = true
                }
            }
            let room = max(0, Self.maximum - state.entries.count)
            state.entries += wanted.prefix(room).map { Entry(spec: $0) }
            return (wanted.count <= room, hasChanged || !wanted.isEmpty)
        }
        if hasChanged { changed() }
        return isComplete
    }

    /// All tunnels of the run, by their numbers.
    var entries: [Entry] { state.withLock { $0.entries } }

    /// Calls a function after each change.
    func observe(_ onChange: @escaping @Sendable () -> Void) {
        state.withLock { $0.onChange = onChange }
    }

    private func changed() {
        state.withLock { $0.onChange }?()
    }
}
