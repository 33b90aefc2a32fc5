import Synchronization

/// The forwards of a client, which may change while it runs. Used from any thread.
///
/// A forward that is removed takes no connection from then on, and its streams go on.
public final class ForwardSet: Sendable {
    private struct State {
        var forwards: [ForwardSpec]
        var onChange: (@Sendable () -> Void)?
    }

    private let state: Mutex<State>

    /// The forwards with which a client starts.
    init(_ forwards: [ForwardSpec]) {
        state = Mutex(State(forwards: forwards))
    }

    /// The forwards now.
    public var all: [ForwardSpec] { state.withLock { $0.forwards } }

    /// Listens for another forward.
    public func add(_ forward: ForwardSpec) {
        state.withLock { $0.forwards.append(forward) }
        changed()
    }

    /// Removes a forward.
    ///
    /// - Returns: false if there is none like it.
    @discardableResult
    public func remove(_ forward: ForwardSpec) -> Bool {
        let isRemoved = state.withLock { state in
            guard let index = state.forwards.firstIndex(of: forward) else { return false }
            state.forwards.remove(at: index)
            return true
        }
        if isRemoved { changed() }
        return isRemoved
    }

    /// Removes the forwards that are not among these, and listens for those of these that are new.
    public func replace(with forwards: [ForwardSpec]) {
        let hasChanged = state.withLock { state in
            guard state.forwards != forwards else { return false }
            state.forwards = forwards
            return true
        }
        if hasChanged { changed() }
    }

    /// Calls a function after each change.
    func observe(_ onChange: @escaping @Sendable () -> Void) {
        state.withLock { $0.onChange = onChange }
    }

    private func changed() {
        state.withLock { $0.onChange }?()
    }
}
