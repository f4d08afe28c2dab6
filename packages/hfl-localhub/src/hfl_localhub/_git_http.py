from hfl_localhub._routing import Router
def add_routes(router: Router) -> None:
    pass
