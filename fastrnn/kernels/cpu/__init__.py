from .address_space import check_address_space

check_address_space()
